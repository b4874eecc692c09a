"""A netlist as SystemVerilog: with the primitives of an FPGA family, or with operators alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from hwbnn.netlists.cells import ChainStack, stacks
from hwbnn.netlists.netlist import FALSE, TRUE, CarryChain, Lut, Netlist
from hwbnn.netlists.pipelining import Pipelining, pipelining, reads, registers

NetlistForm = Literal["xc7", "xcup", "portable"]
"""Xilinx 7-series (LUT6_2, CARRY4), UltraScale+ (LUT6_2, CARRY8), or plain SystemVerilog."""
_SLICE = {"xc7": 4, "xcup": 8}


def system_verilog(
    netlist: Netlist, name: str, form: NetlistForm = "portable", *, per_register: int | None = None
) -> str:
    """A netlist as the text of a SystemVerilog module.

    Its ports are ``x_i``, ``y_o`` and, with registers, ``clk_i``. Inputs and outputs are those of
    the netlist, the first in bit 0. With registers its latency is :func:`latency`.

    Args:
        netlist: the netlist.
        name: of the module, a plain identifier.
        form: the primitives of an FPGA family, or operators alone.
        per_register: levels of logic between two registers; None for none at all.
    """
    return _Module(netlist, form, pipelining(netlist, per_register)).text(name)


def latency(netlist: Netlist, per_register: int | None) -> int:
    """Cycles from a module's inputs to its outputs."""
    return pipelining(netlist, per_register).stages


class _Module:
    """Writes the text of a module."""

    def __init__(self, netlist: Netlist, form: NetlistForm, plan: Pipelining) -> None:
        self.netlist, self.form, self.plan = netlist, form, plan

    def text(self, name: str) -> str:
        """The whole module."""
        netlist, stages = self.netlist, self.plan.stages
        clock = "  input  logic clk_i,\n" if stages else ""
        head = (
            f"module {name} (\n{clock}  input  logic [{netlist.inputs - 1}:0] x_i,\n"
            f"  output logic [{len(netlist.outputs) - 1}:0] y_o\n);\n"
        )
        read = {signal for cell in netlist.cells for signal in reads(cell)}
        read |= {literal >> 1 for literal in netlist.outputs}
        body = [f"  wire n{i} = x_i[{i - 1}];" for i in range(1, netlist.inputs + 1) if i in read]
        for i, (cell, stage) in enumerate(zip(netlist.cells, self.plan.cells, strict=True)):
            if isinstance(cell, Lut):
                body += self.lut(i, cell, stage)
            else:
                body += self.chain(i, cell, stage)
        if self.form != "portable":
            bits = _SLICE[self.form]
            for run in stacks(netlist, self.plan, bits):
                body += self.carries(run, bits)
        body += self.delays()
        outputs = ", ".join(self.literal(literal, stages) for literal in reversed(netlist.outputs))
        return f"{head}{chr(10).join(body)}\n  assign y_o = {{{outputs}}};\nendmodule\n"

    def signal(self, signal: int, stage: int) -> str:
        """The name of a signal, delayed to a stage."""
        late = stage - max(self.plan.signals[signal], 0)
        return f"n{signal}_{late}" if late > 0 else f"n{signal}"

    def literal(self, literal: int, stage: int) -> str:
        """A literal as an expression, delayed to a stage."""
        if literal in (FALSE, TRUE):
            return f"1'b{literal}"
        return ("~" if literal & 1 else "") + self.signal(literal >> 1, stage)

    def delays(self) -> list[str]:
        """The lines of all registers."""
        lines: list[str] = []
        steps: list[str] = []
        for signal, late in sorted(registers(self.netlist, self.plan).items()):
            names = [f"n{signal}"] + [f"n{signal}_{i}" for i in range(1, late + 1)]
            lines += [f"  logic {name};" for name in names[1:]]
            steps += [f"    {b} <= {a};" for a, b in pairwise(names)]
        if steps:
            lines += ["  always_ff @(posedge clk_i) begin", *steps, "  end"]
        return lines

    def lut(self, index: int, lut: Lut, stage: int) -> list[str]:
        """The lines of a table."""
        names = [self.signal(i, stage) for i in lut.inputs]
        outs = [o for o in (lut.first, lut.second) if o]
        if self.form == "portable":
            return [f"  wire n{o} = {_expression(lut, o, names)};" for o in outs]
        wires = f"  wire {', '.join(f'n{o}' for o in outs)};"
        size = len(names)
        if lut.second:
            tied = [*names, *["1'b0"] * (5 - size), "1'b1"][:6]
            ports = [f".O6(n{lut.first})", f".O5(n{lut.second})"]
            kind, width = "LUT6_2", 64
        else:
            tied, ports = names, [f".O(n{lut.first})"]
            kind, width = f"LUT{size}", 1 << size
        ports += [f".I{i}({name})" for i, name in enumerate(tied)]
        return [wires, f"  {kind} #(.INIT({width}'h{lut.init:x})) u{index} ({', '.join(ports)});"]

    def chain(self, index: int, chain: CarryChain, stage: int) -> list[str]:
        """The lines of a carry chain; :meth:`carries` writes the carry cells of a family."""
        cin, s, d = self.operands(chain, stage)
        if chain.wires:
            lines = [f"  wire n{chain.sums[0]} = {s[0]};"] if chain.sums[0] else []
            return lines + ([f"  wire n{chain.carry} = {d[-1]};"] if chain.carry else [])
        wires = [f"  wire n{o};" for o in (*chain.sums, chain.carry) if o]
        if self.form == "portable":
            return wires + _sum(index, chain, cin, s, d)
        return wires

    def operands(self, chain: CarryChain, stage: int) -> tuple[str, list[str], list[str]]:
        """A chain's carry in, propagate and generate inputs."""
        s = [self.literal(literal, stage) for literal in chain.s]
        d = [self.literal(literal, stage) for literal in chain.d]
        return self.literal(chain.cin, stage), s, d

    def carries(self, run: ChainStack, bits: int) -> list[str]:
        """The lines of a run of carry cells of ``bits`` positions, with its chains."""
        name = run.chains[0]
        # Unused positions pass no carry on.
        s, d = ["1'b0"] * run.positions, ["1'b0"] * run.positions
        lines, first = [], "1'b0"
        for index, start in zip(run.chains, run.starts, strict=True):
            chain = self.netlist.cells[index]
            assert isinstance(chain, CarryChain)
            end = start + len(chain.s)
            cin, s[start:end], d[start:end] = self.operands(chain, self.plan.cells[index])
            if start:
                d[start - 1] = cin
            else:
                first = cin
            lines += [
                f"  assign n{o} = o{name}[{start + i}];" for i, o in enumerate(chain.sums) if o
            ]
            if chain.carry:
                # A position gives out its sum or its carry.
                out = f"o{name}[{end}]" if chain.sums[-1] else f"c{name}[{end - 1}]"
                lines.append(f"  assign n{chain.carry} = {out};")
        return _cells(name, first, s, d, bits) + lines


def _expression(lut: Lut, output: int, names: Sequence[str]) -> str:
    """An output of a table as an indexed constant."""
    if lut.second and output == lut.second:
        names, init = names[:5], lut.init
    elif lut.second and len(names) < 6:
        init = lut.init >> 32
    else:
        init = lut.init
    rows = 1 << len(names)
    init &= (1 << rows) - 1
    if len(names) == 1:
        return names[0] if init == 0b10 else f"~{names[0]}"
    return f"1'({rows}'h{init:x} >> {{{', '.join(reversed(names))}}})"


def _sum(index: int, chain: CarryChain, cin: str, s: Sequence[str], d: Sequence[str]) -> list[str]:
    """A chain as an addition: where ``s`` is 1 one operand is 1, where it is 0 both are ``d``."""
    size = len(s)
    both = [f"{{{', '.join(reversed(bits))}}}" for bits in (s, d)]
    lines = [
        f"  wire [{size - 1}:0] s{index} = {both[0]};",
        f"  wire [{size - 1}:0] d{index} = {both[1]};",
        f"  wire [{size}:0] t{index} = {{1'b0, s{index} | d{index}}} "
        f"+ {{1'b0, ~s{index} & d{index}}} + {{{size}'b0, {cin}}};",
    ]
    lines += [f"  assign n{o} = t{index}[{i}];" for i, o in enumerate(chain.sums) if o]
    return lines + ([f"  assign n{chain.carry} = t{index}[{size}];"] if chain.carry else [])


def _cells(name: int, cin: str, s: Sequence[str], d: Sequence[str], bits: int) -> list[str]:
    """The lines of a column of carry cells, of ``bits`` positions each."""
    lines = [f"  wire [{len(s) - 1}:0] o{name}, c{name};"]
    for k in range(len(s) // bits):
        part = f"[{k * bits + bits - 1}:{k * bits}]"
        own = slice(k * bits, (k + 1) * bits)
        ports = [f".O(o{name}{part})", f".CO(c{name}{part})"]
        below = f"c{name}[{k * bits - 1}]" if k else "1'b0"
        first = "1'b0" if k else cin
        if bits == 4:
            ports += [f".CI({below})", f".CYINIT({first})"]
        else:
            ports += [f".CI({below if k else first})", ".CI_TOP(1'b0)"]
        ports += [f".{p}({{{', '.join(reversed(v[own]))}}})" for p, v in (("S", s), ("DI", d))]
        lines.append(f"  CARRY{bits} u{name}_{k} ({', '.join(ports)});")
    return lines
