"""The report of a network: what was measured, what was predicted, what was not done and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hwbnn.errors import InputError
from hwbnn.report.codec import plain, read
from hwbnn.report.figure import Figure
from hwbnn.report.node_figures import NODE_LIMIT, MarginHistogram, NodeFigures, RocCurve
from hwbnn.report.stages import StageTable

FORMAT = 3
_READ = (1, 2, 3)
"""Formats that are read: 1 had only figures of the hardware, 2 no nodes, stages and margins."""
CLASS_LIMIT = 100
"""The most classes of which a report has the confusion matrix."""
_FORMAT_KEY = "hwbnn report"
SIZE_LIMIT = 64 << 20
"""Most bytes of a report; a larger file is refused unread."""
_HLS4ML_KEY = "hls4ml"


@dataclass(frozen=True)
class Provenance:
    """The recipe by which, and the data on which, a network was trained.

    Attributes:
        recipe: SHA-256 of the recipe.
        data: name of the data set.
        origin: where the data came from.
        sha256: SHA-256 of all pixels and labels of the training part and the test part.
        input: the network's input and how a pixel is mapped to it; "" if the run does not record
            it.
    """

    recipe: str
    data: str
    origin: str
    sha256: str
    input: str = ""


@dataclass(frozen=True)
class Accuracy:
    """The share of frames of a data set that are classified correctly.

    Attributes:
        data: the data set and which part of it.
        frames: how many frames.
        float_network: accuracy of the trained network in percent; None if it was not given.
        integer_graph: accuracy of the Graph in percent.
        confusion: frames of each correct class (a row) by the class that the Graph gives (a
            column); empty if it was not counted, or there are more than :data:`CLASS_LIMIT`.
        roc: for two classes, what other cuts on the score would give.
    """

    data: str
    frames: int
    float_network: Figure | None
    integer_graph: Figure
    confusion: tuple[tuple[int, ...], ...] = ()
    roc: RocCurve | None = None

    def __post_init__(self) -> None:
        rows = self.confusion
        square = all(len(row) == len(rows) for row in rows) and len(rows) <= CLASS_LIMIT
        if not square or any(count < 0 for row in rows for count in row):
            raise InputError(
                f"confusion: expected a square of counts, at most {CLASS_LIMIT} classes"
            )


@dataclass(frozen=True)
class FixedPointFigures:
    """The effect of fixed point on a data set, for one word length of a network with shortcuts.

    Attributes:
        data: the data set and which part of it.
        frames: how many frames.
        fraction: fraction bits of the fixed-point numbers.
        width: bits of the widest of these numbers.
        is_chosen: whether the Graph of this report has this word length.
        largest: largest difference of a logit from the float network's.
        mean: mean difference of the logits.
        spread: standard deviation of the float network's logits.
        agreement: frames to which both networks give the same class, in percent.
        float_network: frames that the float network classifies correctly, in percent.
        integers: frames that the Graph classifies correctly, in percent.
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
        name: name of the backend, such as ``"rtl"``.
        frames: number of frames computed.
        bits: number of bits compared, over all values.
        mismatches: number of bits that differ.
        rate: frames per second, with its source; None if it was not measured.
        failure: the first thing that is wrong, in one line; "" if nothing is.
        fused: values that this backend does not show, each with the value that it is part of.
        ran: for a core with netlists, which form of them ran, in words; "" for others.
        bits_by_node: bits compared, by value; empty if it was not noted.
        differing_by_node: bits that differ, by value; values that are equal are left out.
    """

    name: str
    frames: int
    bits: int
    mismatches: int
    rate: Figure | None = None
    failure: str = ""
    fused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ran: str = ""
    bits_by_node: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    differing_by_node: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def ok(self) -> bool:
        """Whether something was compared and nothing was wrong."""
        return bool(self.bits) and not self.mismatches and not self.failure


@dataclass(frozen=True)
class Prediction:
    """A quantity, predicted before the core was built and measured on it.

    Attributes:
        predicted: the figure before the core was built; None if there is none.
        measured: the figure of simulation, synthesis or placement; None if there is none.
    """

    predicted: Figure | None = None
    measured: Figure | None = None

    @property
    def holds(self) -> bool:
        """Whether both figures exist and are equal."""
        if self.predicted is None or self.measured is None:
            return False
        return self.predicted.value == self.measured.value


@dataclass(frozen=True)
class Depth:
    """Latency and delay of a core with registers closer together or further apart.

    Attributes:
        logic_levels_per_register: levels of logic between two registers (:class:`hwbnn.plan.Plan`).
        is_chosen: whether the core of this report has this number of levels.
        latency: latency of the whole core, in cycles.
        logic_delay: the longest delay of logic between registers; None if it was not measured.
    """

    logic_levels_per_register: int
    is_chosen: bool
    latency: Figure
    logic_delay: Figure | None = None


@dataclass(frozen=True)
class CoreFigures:
    """A generated core.

    Attributes:
        name: name of the core in this report, such as ``"rtl"``.
        digest: digest of its project.
        cycles: ``latency`` and ``initiation_interval``; measured must equal predicted.
        resources: LUTs and other resources by name; predictions are estimates.
        timing: ``Fmax``, ``logic_delay``, ... by name.
        depths: its latency for several numbers of levels between registers, if it depends on them.
        stages: its stages, with estimated resources; None if they were not noted.
        part: the device that it was made for; "" if it was not noted.
        clock: the clock period that was asked for, in ns; None if it was not noted.
        available: what the device has of each resource, by the names of ``resources``; empty if it
            is not known.
    """

    name: str
    digest: str
    cycles: Mapping[str, Prediction]
    resources: Mapping[str, Prediction] = field(default_factory=lambda: MappingProxyType({}))
    timing: Mapping[str, Prediction] = field(default_factory=lambda: MappingProxyType({}))
    depths: tuple[Depth, ...] = ()
    stages: StageTable | None = None
    part: str = ""
    clock: Figure | None = None
    available: Mapping[str, Figure] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        # Other numbers are divided by it.
        if self.clock is not None and not self.clock.value >= 1e-6:
            raise InputError(f"core: clock: expected a period in ns, found {self.clock}")

    @property
    def usage(self) -> dict[str, tuple[float, float]]:
        """Amounts that the core takes and that its part has; a BRAM of 36 Kbit is two of 18."""
        found = {}
        for name, there in self.available.items():
            pairs = [(self.resources.get(name), 1)]
            if name == "BRAM_18K":
                pairs.append((self.resources.get("BRAM_36K"), 2))
            figures = [
                (pair.measured or pair.predicted, n) for pair, n in pairs if pair is not None
            ]
            taken = [n * figure.value for figure, n in figures if figure is not None]
            if taken:
                found[name] = (sum(taken), there.value)
        return found

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
        epochs: number of epochs.
        seconds: wall-clock time.
        cpu_seconds: processor time.
        settings: settings of the training, such as accelerator, precision and threads.
        versions: versions of the packages that the weights depend on.
        loss: mean loss on the training images in each epoch, measured while training.
        accuracy: likewise the accuracy on the training images, from 0 to 1.
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
        node: name of the value in the Graph.
        layer: the layer of the network that computes the same value.
        compared: number of elements compared.
        differing: number of elements that differ.
        first: descriptions of the first differing elements, one line each.
    """

    node: str
    layer: str
    compared: int
    differing: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotDone:
    """A step that was left out.

    Attributes:
        what: the step, such as ``"place and route"``.
        why: the reason, such as the tool that is missing and how to get it.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Report:
    """All figures of a network and its hardware.

    Attributes:
        network: name of the network.
        digest: digest of its Graph.
        accuracy: accuracy on each data set.
        backends: every backend that computed the network, with its comparison.
        cores: every core that was generated.
        hls_synthesis: figures of Vitis HLS by hls4ml's names (``WorstLatency``, ``LUT``, ...);
            empty if it did not run.
        versions: versions of the tools and packages that were used.
        not_done: steps that were left out, and why.
        files: paths of the files of the build, by description.
        fixed_point: the effect of fixed point, for each word length that was measured.
        provenance: recipe and training data, if known.
        training: how the network was trained; only for published networks.
        agreement: comparison of the Graph with the float network, value by value, in order.
        nodes: the nodes of the Graph, in order; empty if they were not noted.
        margins: how far sums are from thresholds, for each ``Threshold`` that was measured.
        commands: command lines that make this report again.
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
    nodes: tuple[NodeFigures, ...] = ()
    margins: tuple[MarginHistogram, ...] = ()
    commands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        known: set[str] = set()
        for node in self.nodes:
            if node.name in known or not known.issuperset(node.sources):
                raise InputError(
                    f"nodes: {node.name[:60]!a}: expected a new name, and sources before it"
                )
            known.add(node.name)
        if len(self.nodes) > NODE_LIMIT:
            raise InputError(f"nodes: expected at most {NODE_LIMIT}, found {len(self.nodes):,}")

    def joined(self, network: Report) -> Report:
        """The report of a core, with what only the report of its network has.

        Args:
            network: a report of the same Graph, which gives training and agreement.

        Raises:
            InputError: if it is a report of another Graph.
        """
        if network.digest != self.digest:
            raise InputError(
                f"report: expected reports of one Graph, found {self.digest[:12]!a} and "
                f"{network.digest[:12]!a}"
            )
        return replace(
            self,
            accuracy=self.accuracy or network.accuracy,
            provenance=self.provenance or network.provenance,
            training=self.training or network.training,
            agreement=self.agreement or network.agreement,
            nodes=self.nodes or network.nodes,
            margins=self.margins or network.margins,
        )

    def _repr_html_(self) -> str:
        """The most important figures, for notebooks."""
        from hwbnn.report.page import summary

        return summary(self)

    @property
    def failures(self) -> tuple[str, ...]:
        """Everything that is wrong, one line each."""
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
        """Whether something was compared, and nothing is wrong."""
        return bool(self.backends or self.agreement) and not self.failures

    def to_json(self) -> str:
        """The report as JSON text, keys sorted.

        Each core also has an entry ``hls4ml``: the same figures under the keys of hls4ml's
        reports, for scripts that read these.
        """
        document = {_FORMAT_KEY: FORMAT, **plain(self)}
        for told, core in zip(document["cores"], self.cores, strict=True):
            told[_HLS4ML_KEY] = hls4ml_keys(core)
        return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"

    @classmethod
    def read(cls, file: str | Path) -> Report:
        """The report in a file.

        Raises:
            InputError: one line, if the file cannot be read or is no report.
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
        """The report in the text that :meth:`to_json` wrote.

        Raises:
            InputError: one line, if the text is no report or has an unknown format.
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
                core.pop(_HLS4ML_KEY, None)  # derived from the other entries
        return read(cls, given, name)


def hls4ml_keys(core: CoreFigures) -> dict[str, dict[str, str]]:
    """A core's figures as text, under the keys of hls4ml's ``CSynthesisReport``.

    Unknown figures are left out. LUT, FF and so on are the measured figures of synthesis.
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
