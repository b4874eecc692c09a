"""Networks by name, of every kind."""

from __future__ import annotations

from collections.abc import Sequence

from hwbnn.arguments import checked_call
from hwbnn.errors import InputError, nearest
from hwbnn.graph import Input
from hwbnn.methods import Method
from hwbnn.nn.networks import CHAINS, NETWORKS, Last, Network, chain, mlp
from hwbnn.nn.residual import RESIDUAL, residual

MLP = "mlp"
"""The name of a multi-layer perceptron of any widths."""
NAMES: tuple[str, ...] = (*NETWORKS, MLP, *CHAINS, *RESIDUAL)
"""Names that :func:`network` knows."""


def hidden_layers(name: str) -> str:
    """The hidden layers of a network of :data:`NAMES`, in common notation, as ``256-256-256``."""
    if name in NETWORKS:
        return "-".join(map(str, NETWORKS[name]))
    if name == MLP:
        return "as widths say"
    return str(CHAINS[name] if name in CHAINS else RESIDUAL[name])


def takes_images(name: str) -> bool:
    """Whether a network reads images ``(height, width, channels)`` and not rows of any shape."""
    return name not in NETWORKS and name != MLP


@checked_call()
def network(
    name: str,
    source: Input,
    classes: int,
    method: Method | str,
    *,
    last: Last = "batch_norm",
    reads: Sequence[int] | None = None,
    first: str | None = None,
    downsample: str | None = None,
    widths: Sequence[int] | None = None,
    fan_in: int | None = None,
    thermometer: Sequence[int] | None = None,
) -> Network:
    """A network known by name, with new weights.

    Args:
        name: one of :data:`NAMES`.
        source: the network's input, for example ``Input.bits(784)`` or
            ``Input.pixels((32, 32, 3))``.
        classes: number of logits.
        method: the training method, or its name.
        last: see :func:`hwbnn.nn.mlp`.
        reads: positions of the elements that the network reads, for networks on rows; None for all.
        first: the weights of a quantised first layer, see :func:`hwbnn.nn.mlp`.
        downsample: the weights of quantised projections, for networks with shortcuts, see
            :func:`hwbnn.nn.residual`.
        widths: channels of the hidden layers of :data:`MLP`; None for any other network.
        fan_in: inputs that each channel reads, for networks on rows, see :func:`hwbnn.nn.mlp`.
        thermometer: integers to compare each element with, for networks on rows, see
            :func:`hwbnn.nn.mlp`.

    Raises:
        InputError: if no network has this name, or it does not accept these arguments.
    """
    if (widths is None) == (name == MLP):
        raise InputError(
            f"network '{name}': expected widths of the hidden layers with '{MLP}' and none with "
            f"any other network, found {widths}"
        )
    if downsample is not None and name not in RESIDUAL:
        raise InputError(f"network '{name}' has no shortcuts; leave downsample out")
    if not takes_images(name):
        return mlp(
            source,
            NETWORKS[name] if widths is None else widths,
            classes,
            method,
            last=last,
            reads=reads,
            first=first,
            fan_in=fan_in,
            thermometer=thermometer,
        )
    if (fan_in, thermometer) != (None, None):
        raise InputError(
            f"network '{name}' reads images; fan_in and thermometer are for networks on rows"
        )
    if reads is not None:
        raise InputError(f"network '{name}' reads whole images; only rows can be read in part")
    if name in CHAINS:
        return chain(source, CHAINS[name], classes, method, last=last, first=first)
    if name in RESIDUAL:
        ends = {"last": last, "first": first, "downsample": downsample}
        return residual(source, RESIDUAL[name], classes, method, **ends)  # type: ignore[arg-type]
    raise InputError(f"network {name!r}: expected one of {nearest(name, NAMES)}")
