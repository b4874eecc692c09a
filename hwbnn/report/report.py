"""The report of a network: what was measured, what was predicted, what was not done and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwbnn.errors import InputError
from hwbnn.report.codec import plain, read
from hwbnn.report.figure import Figure

FORMAT = 2
_READ = (1, 2)
"""Formats that are read; the first had the hardware alone."""
_FORMAT_KEY = "hwbnn report"
SIZE_LIMIT = 64 << 20
"""Bytes that a report may have; a larger one is refused unread."""
_HLS4ML_KEY = "hls4ml"


@dataclass(frozen=True)
class Provenance:
    """The recipe and the data that a network was trained by and on.

    Attributes:
        recipe: SHA-256 of its recipe.
        data: name of the data set.
        origin: where the data came from.
        sha256: of the data set: all pixels and labels of the training and of the test part.
        input: what the network takes and how a pixel becomes it; "" where a run does not say so.
    """

    recipe: str
    data: str
    origin: str
    sha256: str
    input: str = ""


@dataclass(frozen=True)
class Accuracy:
    """How many frames of a data set are classified rightly.

    Attributes:
        data: the data set and which part of it.
        frames: how many frames.
        float_network: the trained network, in percent; None if it was not there.
        integer_graph: the Graph, in percent.
    """

    data: str
    frames: int
    float_network: Figure | None
    integer_graph: Figure


@dataclass(frozen=True)
class FixedPointFigures:
    """The effect of fixed point on a data set, for one word length of a network with shortcuts.

    Attributes:
        data: the data set and which part of it.
        frames: how many frames.
        fraction: fraction bits of the numbers that shortcuts add.
        width: bits of the widest of these numbers.
        is_chosen: whether the Graph of this report has this word length.
        largest: largest distance of a logit from the float network's.
        mean: mean distance of the logits.
        spread: standard deviation of the float network's logits.
        agreement: frames of the same class, in percent.
        float_network: frames classified rightly by the float network, in percent.
        integers: the same by the integers.
    """

    data: str
    frames: int
    fraction: int
    width: int
    is_chosen: bool
    largest: Figure
    mean: Figure
    spread: Figure
    agreement: Figure
    float_network: Figure
    integers: Figure


@dataclass(frozen=True)
class BackendFigures:
    """One backend that computed the Graph, compared with the plain simulator bit for bit.

    Attributes:
        name: such as ``"rtl verilator"``.
        frames: frames computed.
        bits: bits compared, over all values.
        mismatches: bits that differ.
        rate: frames a second, with who measured it; None if it was not.
        failure: what is wrong first, in one line; "" if nothing is.
        fused: values that this backend does not show, and the value that they went into.
        ran: of a core with netlists, what ran of these, in words; "" of all others.
    """

    name: str
    frames: int
    bits: int
    mismatches: int
    rate: Figure | None = None
    failure: str = ""
    fused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ran: str = ""

    @property
    def ok(self) -> bool:
        """Whether something was compared and nothing was wrong."""
        return bool(self.bits) and not self.mismatches and not self.failure


@dataclass(frozen=True)
class Prediction:
    """A quantity, predicted before the core was built and measured on it.

    Attributes:
        predicted: what was foreseen, if it was.
        measured: what was counted, synthesised or placed, if it was.
    """

    predicted: Figure | None = None
    measured: Figure | None = None

    @property
    def holds(self) -> bool:
        """Whether it was measured, and is as predicted."""
        if self.predicted is None or self.measured is None:
            return False
        return self.predicted.value == self.measured.value


@dataclass(frozen=True)
class Depth:
    """Latency and delay of a core with registers closer together or further apart.

    Attributes:
        logic_levels_per_register: levels of logic between two registers (:class:`hwbnn.plan.Plan`).
        is_chosen: whether the core of this report has these.
        latency: of the whole core, in cycles.
        logic_delay: the longest delay of logic between registers, where it was measured.
    """

    logic_levels_per_register: int
    is_chosen: bool
    latency: Figure
    logic_delay: Figure | None = None


@dataclass(frozen=True)
class CoreFigures:
    """A generated core.

    Attributes:
        name: what this report calls it, such as ``"unrolled"``.
        digest: of its project.
        cycles: ``latency`` and ``initiation_interval``; measured must equal predicted.
        resources: LUT and others by name; predictions are estimates.
        timing: ``Fmax``, ``logic_delay``, ... by name.
        depths: how its latency follows from the levels between registers, where it does.
    """

    name: str
    digest: str
    cycles: Mapping[str, Prediction]
    resources: Mapping[str, Prediction] = field(default_factory=lambda: MappingProxyType({}))
    timing: Mapping[str, Prediction] = field(default_factory=lambda: MappingProxyType({}))
    depths: tuple[Depth, ...] = ()

    @property
    def failure(self) -> str:
        """The first cycle figure that is not as predicted, in words; "" if there is none."""
        for name, pair in self.cycles.items():
            if pair.predicted and pair.measured and not pair.holds:
                return (
                    f"core {self.name}: {name}: predicted {pair.predicted}, counted {pair.measured}"
                )
        return ""


@dataclass(frozen=True)
class Training:
    """How a network was trained.

    Attributes:
        epochs: times that all training images were met.
        seconds: wall-clock time.
        cpu_seconds: processor time.
        settings: where and how it was computed.
        versions: of what the weights depend on.
        loss: on the training images, epoch by epoch, as each was trained on.
        accuracy: likewise, share from 0 to 1.
    """

    epochs: int
    seconds: float
    cpu_seconds: float
    settings: Mapping[str, str | int]
    versions: Mapping[str, str]
    loss: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()


@dataclass(frozen=True)
class Agreement:
    """One value of the Graph, compared with the float network.

    Attributes:
        node: its name in the Graph.
        layer: the layer of the network that computes the same.
        compared: elements compared.
        differing: elements that differ.
        first: the first of these, a line each.
    """

    node: str
    layer: str
    compared: int
    differing: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotDone:
    """A step without a figure in the report.

    Attributes:
        what: such as ``"place and route"``.
        why: such as the tool that is missing and how to get it.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Report:
    """Everything that is known of a network and its hardware.

    Attributes:
        network: its name.
        digest: of its Graph.
        accuracy: on data sets.
        backends: every backend that computed it, compared.
        cores: every core that was generated.
        hls_synthesis: what Vitis HLS reported, by hls4ml's names (``WorstLatency``, ``LUT``, ...),
            where it ran.
        versions: of the tools and packages that had a part in it.
        not_done: what is missing here, and why.
        files: where what belongs to it lies, by name.
        fixed_point: what fixed point changes, for each word length that was measured.
        provenance: what it was trained by and on, where that is known.
        training: how that went, of a network that was published.
        agreement: the float network against the Graph, value by value, in order.
    """

    network: str
    digest: str
    accuracy: tuple[Accuracy, ...] = ()
    backends: tuple[BackendFigures, ...] = ()
    cores: tuple[CoreFigures, ...] = ()
    hls_synthesis: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    not_done: tuple[NotDone, ...] = ()
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    fixed_point: tuple[FixedPointFigures, ...] = ()
    provenance: Provenance | None = None
    training: Training | None = None
    agreement: tuple[Agreement, ...] = ()

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that is wrong, a line each."""
        backends = [
            backend.failure or f"{backend.name}: {_differ(backend)}"
            for backend in self.backends
            if not backend.ok
        ]
        parted = [
            f"{each.node} ({each.layer}): {each.differing:,} of {each.compared:,} differ"
            for each in self.agreement
            if each.differing
        ]
        return (*parted, *backends, *(core.failure for core in self.cores if core.failure))

    @property
    def ok(self) -> bool:
        """Whether all that was compared is equal, and something was."""
        return bool(self.backends or self.agreement) and not self.failures

    def to_json(self) -> str:
        """The report as JSON text, keys sorted.

        Each core has an entry ``hls4ml`` besides: the same figures under the keys of hls4ml's
        reports, for scripts that read those.
        """
        document = {_FORMAT_KEY: FORMAT, **plain(self)}
        for told, core in zip(document["cores"], self.cores, strict=True):
            told[_HLS4ML_KEY] = hls4ml_keys(core)
        return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def read(cls, file: str | Path) -> Report:
        """The report in a file.

        Raises:
            InputError: one line, if it cannot be read or is no report.
        """
        path = Path(file)
        try:
            if path.stat().st_size > SIZE_LIMIT:
                raise InputError(f"{path}: larger than {SIZE_LIMIT >> 20} MiB, no report; refused")
            content = path.read_bytes()
        except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{str(path)[:200]}: cannot read the report: {reason}") from error
        return cls.from_json(content, str(path))

    @classmethod
    def from_json(cls, text: str | bytes, name: str = "report") -> Report:
        """A report from :meth:`to_json`'s text.

        Raises:
            InputError: one line, if the text is no report of a version that is known here.
        """
        try:
            given = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{name}: not JSON ({error})") from None
        if not isinstance(given, dict) or _FORMAT_KEY not in given:
            raise InputError(f"{name}: expected a report with the entry '{_FORMAT_KEY}'")
        version = given.pop(_FORMAT_KEY)
        if version not in _READ or isinstance(version, bool | float):
            raise InputError(
                f"{name}: expected format {FORMAT}, found {_text(version)!a}; "
                "a newer hwbnn reads newer reports"
            )
        cores = given.get("cores")
        for core in cores if isinstance(cores, list) else ():
            if isinstance(core, dict):
                core.pop(_HLS4ML_KEY, None)  # made from the other entries, and made again
        return read(cls, given, name)


def hls4ml_keys(core: CoreFigures) -> dict[str, dict[str, str]]:
    """A core's figures under the keys of hls4ml's ``CSynthesisReport``; text, as they are there.

    Only what is known is in it. LUT, FF and so on are those of the synthesis that measured them.
    """
    named: dict[str, Prediction] = {**core.cycles, **core.resources}
    keys = {
        "BestLatency": "latency",
        "WorstLatency": "latency",
        "IntervalMin": "initiation_interval",
        "IntervalMax": "initiation_interval",
        "LUT": "LUT",
        "FF": "FF",
        "DSP": "DSP",
    }
    entries = {}
    for key, name in keys.items():
        figure = named[name].measured or named[name].predicted if name in named else None
        if figure is not None:
            entries[key] = str(figure.value)
    blocks = [named[name].measured for name in ("BRAM_18K", "BRAM_36K") if name in named]
    if len(blocks) == 2 and blocks[0] and blocks[1]:
        entries["BRAM_18K"] = str(blocks[0].value + 2 * blocks[1].value)
    fmax = core.timing["Fmax"].measured if "Fmax" in core.timing else None
    if fmax:
        entries["EstimatedClockPeriod"] = f"{1000 / fmax.value:.3f}"
    return {"CSynthesisReport": entries}


def _differ(backend: BackendFigures) -> str:
    return (
        f"{backend.mismatches:,} of {backend.bits:,} bits differ"
        if backend.bits
        else "nothing was compared"
    )


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of a report")


def _text(value: object) -> str:
    try:
        return str(value)[:20]
    except ValueError:  # an integer of thousands of digits
        return "a huge integer"
