"""The options for the layout and the goals of a core, and the Plan that they describe."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from hwbnn.cli import options
from hwbnn.cli.inputs import read_plan, read_project
from hwbnn.cli.output import note
from hwbnn.devices import read_board, read_part
from hwbnn.errors import InputError
from hwbnn.graph import Add, Graph, Rescale
from hwbnn.plan import Control, CorePort, Form, Framing, Plan, Unrolled
from hwbnn.plan.datapath import largest_divisor
from hwbnn.project import Project


@dataclass(frozen=True)
class LayoutOptions:
    """The options of one command line that say how a core is laid out; each is an option.

    Everything that does not depend on the Graph is checked when it is made.

    Raises:
        InputError: if options contradict one another, or part or board is unknown.
        PlanError: if the Plan's file holds no Plan, or an option has a value that no Plan has.
    """

    plan: options.PlanFile = None
    interval: options.Interval = None
    fps: options.Fps = None
    latency_ns: options.LatencyNs = None
    luts: options.Luts = None
    part: options.PartName = None
    board: options.BoardName = None
    mhz: options.Mhz = None
    form: options.Form = None
    framing: options.Framing = None
    control: options.Control = None
    port: options.CorePort = None
    tid_bits: options.TidBits = None
    tdest_bits: options.TdestBits = None
    tuser_bits: options.TuserBits = None
    logic_levels: options.Levels = None
    memory_registers: options.MemoryRegisters = None
    input_beat: options.InputBeat = None
    output_beat: options.OutputBeat = None
    lanes: options.Lanes = None

    def __post_init__(self) -> None:
        if self.plan is not None and self.speed_or_budget:
            raise InputError(
                f"plan: --plan {self.plan} says the layout of every layer; leave it out, or the "
                "goals (--interval, --fps, --latency-ns, --luts)"
            )
        if self.plan is not None and self.form is not None:
            raise InputError(
                f"plan: --form has no effect on --plan {self.plan}, whose layouts say it "
                "themselves; leave one of them out"
            )
        if self.part is not None and self.board is not None:
            raise InputError("plan: expected one of --part and --board, found both")
        if self.mhz is not None and not 1 <= self.mhz <= 10_000:
            raise InputError(f"plan: --mhz {self.mhz:g}: expected 1 to 10000")
        self.base  # noqa: B018  # checks the values
        self.goal.limits(self.base.clock_ns)

    @property
    def given(self) -> bool:
        """Whether any of the options is there."""
        return any(getattr(self, f.name) is not None for f in fields(self))

    @property
    def speed_or_budget(self) -> bool:
        """Whether a rate, a latency or a budget is wanted."""
        goals = (self.interval, self.fps, self.latency_ns, self.luts)
        return any(goal is not None for goal in goals)

    @functools.cached_property
    def base(self) -> Plan:
        """The Plan of everything that is no goal: the file's, with what other options say."""
        from hwbnn.estimate import clock_period

        plan = read_plan(self.plan)
        if self.form is not None:
            plan = replace(plan, default=Unrolled(form=cast(Form, self.form)))
        changed: dict[str, Any] = {
            "framing": cast(Framing, self.framing),
            "control": cast(Control, self.control),
            "port": cast(CorePort, self.port),
            "tid_bits": self.tid_bits,
            "tdest_bits": self.tdest_bits,
            "tuser_bits": self.tuser_bits,
            "logic_levels_per_register": self.logic_levels,
            "memory_registers": self.memory_registers,
            "input_beat": self.input_beat,
            "output_beat": self.output_beat,
        }
        mhz = self.mhz
        if self.board is not None:
            board = read_board(self.board)
            changed["part"] = board.part
            mhz = mhz or board.mhz
        elif self.part is not None:
            changed["part"] = read_part(self.part).name
        changed["clock_ns"] = None if mhz is None else clock_period(mhz)
        return replace(plan, **{name: v for name, v in changed.items() if v is not None})

    @property
    def goal(self) -> Any:
        """The goal that the options state."""
        from hwbnn.estimate import Goal

        part = self.base.part if self.part is not None or self.board is not None else None
        return Goal(
            interval=self.interval,
            fps=self.fps,
            latency_ns=self.latency_ns,
            lut=self.luts,
            part=part,
        )

    def chosen(self, graph: Graph) -> Plan:
        """The Plan of a Graph: read from the file, found for the goals, or unrolled.

        Raises:
            GoalMissed: if no Plan that was found meets the goals.
        """
        from hwbnn.estimate import plan_for

        base = self.base if self.lanes is None else replace(self.base, lanes=self.lanes_of(graph))
        if self.plan is None:
            beats = {"input_beat": self.input_beat, "output_beat": self.output_beat}
            base = base.with_wide_beats(graph, [n for n, given in beats.items() if given is None])
        wanted = self.part is not None or self.board is not None
        if self.plan is not None or not (self.speed_or_budget or wanted):
            return base.check(graph)
        return plan_for(graph, self.goal, base, note)

    def lanes_of(self, graph: Graph) -> dict[str, int]:
        """For each ``Rescale`` and ``Add``, the most lanes that divide its channels."""
        assert self.lanes is not None
        nodes = [node for node in graph.nodes if isinstance(node, Rescale | Add)]
        channels = {node.name: graph.types[node.name].channels for node in nodes}
        return {name: largest_divisor(n, self.lanes) for name, n in channels.items()}

    def core(self, given: str, network_input: str = "", weights: Path | None = None) -> Project:
        """The project in a folder as it is, or the core of a Graph with the Plan of the options."""
        return read_project(given, self.chosen if self.given else None, network_input, weights)


def with_layout_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of :class:`LayoutOptions`.

    They stand where the command has its parameter ``layout``, which it gets filled.
    """
    signature = inspect.signature(command, eval_str=True)
    hints = {f.name: f for f in fields(LayoutOptions)}
    types = inspect.get_annotations(LayoutOptions, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name != "layout":
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        parameters += [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[name]
            )
            for name, field in hints.items()
        ]

    @functools.wraps(command)
    def filled(**values: Any) -> None:
        layout = LayoutOptions(**{name: values.pop(name) for name in hints})
        command(**values, layout=layout)

    filled.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    filled.__annotations__ = {p.name: p.annotation for p in parameters}
    return filled
