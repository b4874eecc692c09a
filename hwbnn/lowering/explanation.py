"""An account of a lowering, layer by layer: a value that converts to a text for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwbnn.lowering.value import Remark

MEANINGS = {
    "class": "the index of the class",
    "decision": "one bit, the class: 1 where the logit is at least 0 (BCE's decision)",
    "scores": "integers that are ordered as the logits are",
    "logits": "integers that stand for the logits, by one scale and one offset",
    "bits": "bits",
}
"""The meanings of a Graph's output, for people."""


@dataclass(frozen=True)
class LayerExplanation:
    """The lowering of one layer.

    Attributes:
        layer: its qualified name in the network.
        kind: its class, such as ``BinaryLinear``; ``function`` for a call in the model's forward.
        node: the node of the Graph that computes it.
        text: one sentence.
    """

    layer: str
    kind: str
    node: str
    text: str

    def __str__(self) -> str:
        return f"{self.layer} -> {self.node}: {self.text}"


@dataclass(frozen=True)
class Explanation:
    """The lowering of a model, layer by layer, or where it stops.

    Attributes:
        layers: in the order of the network, up to a refusal.
        form: ``"exact"``, ``"fixed point"``, ``"rounded"`` (exact but for real weights that were
            rounded) or ``"refused"``.
        fraction: fraction bits of its fixed-point numbers; None where there are none.
        output: the meaning of the output, one of :data:`MEANINGS`; None if refused.
        nodes: of the Graph; 0 if refused.
        digest: of the Graph; empty if refused.
        weight_bits: the bits that real weights were rounded to; None where none were rounded.
        rounded: the layers whose weights were rounded.
        problems: the reason of a refusal; or warnings, such as a constant output.
    """

    layers: tuple[LayerExplanation, ...]
    form: Literal["exact", "fixed point", "rounded", "refused"]
    fraction: int | None = None
    output: str | None = None
    nodes: int = 0
    digest: str = ""
    problems: tuple[str, ...] = ()
    weight_bits: int | None = None
    rounded: tuple[str, ...] = ()

    @property
    def is_lowered(self) -> bool:
        """Whether the model has a Graph."""
        return self.form != "refused"

    @property
    def verdict(self) -> str:
        """The last line of the text."""
        if not self.is_lowered:
            return f"refused: {'; '.join(self.problems)}"
        bits = "" if self.fraction is None else f" of {self.fraction} fraction bits"
        if self.rounded:
            layers = ", ".join(f"'{name}'" for name in self.rounded)
            bits += f", weights of {layers} rounded to {self.weight_bits} bits"
        form = "exact but for weights" if self.form == "rounded" else self.form
        return f"{form}{bits}: {self.nodes} nodes, digest {self.digest[:12]}"

    @property
    def lines(self) -> tuple[str, ...]:
        """The text, line by line: the layers, the output, problems, the verdict."""
        said = [str(layer) for layer in self.layers]
        if self.is_lowered and self.output is not None:
            said.append(f"output: {MEANINGS[self.output]}")
            said += [f"warning: {problem}" for problem in self.problems]
        return (*said, self.verdict)

    def __str__(self) -> str:
        return "\n".join(self.lines)


def layer_explanations(
    remarks: list[Remark], kinds: dict[str, str]
) -> tuple[LayerExplanation, ...]:
    """Remarks with the kinds of their layers; ``kinds`` has these by the layer's name."""
    return tuple(
        LayerExplanation(r.layer, kinds.get(r.layer, "function"), r.node, r.text) for r in remarks
    )
