"""What Vitis HLS refuses or does badly, as checks on the C++ of a generated project.

:func:`violations` reads the text of the project, not the objects that it was written from. It
knows the forms that are generated; what it cannot read it reports. The limits are those of AMD's
user guide (UG1399) and of messages of the tools; no tool of AMD has run here. ``hls_rules`` beside
this has the rules for the headers alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from hwbnn.project import Project
from tests.targets import hls_rules

STREAM_BITS = 4096
"""Bits of the widest stream: UG1399, "AXI4-Stream Interfaces"; wider FIFOs are refused too."""
WORD_BITS = 1024
"""Bits of the widest ``ap_uint`` without a macro in front of all headers."""
PARTITIONS = 1024
"""Parts of an array, if the script does not ask for more: message XFORM 203-103."""
UNROLLED = 4096
"""Iterations of an unrolled loop, and parts that may be asked for: message XFORM 203-504."""
SYNAPSES = 200_000
"""Synapses of one pipelined function at the top."""
BY_WORDS = ("bit_terms", "masked_terms", "ternary_terms", "masked_ternary_terms")
"""Terms of which a word is counted at once."""
SIMULATED = ("hwbnn_sim.h", "hwbnn_trace.h")
NETWORK, TOP = "firmware/hwbnn_network.cpp", "firmware/hwbnn_top.cpp"
PARAMETERS, TYPES = "firmware/parameters.h", "firmware/defines.h"
BORDER = "firmware/hwbnn_top.h"


@dataclass(frozen=True)
class Violation:
    """A rule that a line breaks."""

    file: str
    line: int
    rule: str
    found: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.found}"


@dataclass(frozen=True)
class Struct:
    """A config struct: its name, its line, its integers and its types."""

    name: str
    line: int
    numbers: dict[str, int]
    types: dict[str, str]

    def words(self, layout: str) -> int | None:
        """The words of a layout of the struct; None if it has no such layout."""
        text = self.types.get(layout, "")
        plain = re.match(r"hwbnn::(?:plain|counted)<(\d+),", text)
        packed = re.match(r"hwbnn::packed<(\d+), (\d+), (\d+)>", text)
        if plain:
            return int(plain[1])
        if packed:
            size, segment, width = map(int, packed.groups())
            return size // segment * -(-segment // width)
        return None


class Reading:
    """The parts of a project that the rules are about."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.texts = {
            name: project.text(name) for name in (NETWORK, TOP, PARAMETERS, TYPES, BORDER)
        }

    @cached_property
    def tokens(self) -> dict[str, tuple[int, int]]:
        """The bits of a word and the words of a token, by the name of the token's type."""
        array = r"typedef nnet::array<ap_u?int<(\d+)>, ((?:\d+\*)*\d+)> (\w+);"
        found = {}
        for width, size, name in re.findall(array, self.texts[TYPES]):
            words = 1
            for factor in size.split("*"):
                words *= int(factor)
            found[name] = int(width), words
        return found

    def structs(self, file: str) -> Iterator[Struct]:
        """The structs of a file whose members are integers and types."""
        for match in re.finditer(r"^struct (\w+) \{\n(.*?)^\};$", self.texts[file], re.M | re.S):
            numbers = re.findall(r"static const (?:unsigned|int) (\w+) = (-?\d+);", match[2])
            types = re.findall(r"typedef (.+) (\w+);", match[2])
            line = self.texts[file][: match.start()].count("\n") + 1
            yield Struct(
                match[1], line, {n: int(v) for n, v in numbers}, {n: t.strip() for t, n in types}
            )

    @cached_property
    def functions(self) -> dict[str, tuple[list[bool], str]]:
        """For each function template of the headers: which stream arguments it writes; its file."""
        known = {}
        for name in self.headers:
            text = self.project.text(name)
            for function, listed in re.findall(r"^void (\w+)\(((?:[^(){}]|\n)*)\) \{", text, re.M):
                streams = re.findall(r"hls::stream<([\w: ]+)> &(\w+)", listed)
                known[function] = [variable in ("y", "z_out") for _, variable in streams], name
                if function == "fork_tokens":
                    known[function] = [False, True, True], name
        return known

    @property
    def headers(self) -> list[str]:
        """Our headers that are synthesised."""
        names = [n for n in self.project.files if n.startswith("firmware/nnet_utils/hwbnn")]
        return [n for n in names if not n.endswith(SIMULATED)]


def violations(project: Project, *, top_pipeline: int = SYNAPSES) -> list[Violation]:
    """Everything in a project that Vitis would refuse or do badly.

    Args:
        project: of the target ``hls``.
        top_pipeline: synapses that one pipelined function at the top may have.
    """
    reading = Reading(project)
    found = [*_streams(reading), *_ports(reading), *_sizes(reading), *_constants(reading)]
    found += [*_pipeline(reading, top_pipeline), *_headers(reading), *_scripts(reading)]
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    yield from enumerate(text.split("\n"), start=1)


def _streams(reading: Reading) -> Iterator[Violation]:
    """Each FIFO: at most 4,096 bits, a depth, one function that writes it and one that reads it."""
    for file in (NETWORK, TOP):
        text = reading.texts[file]
        declared: dict[str, int] = {}
        given = dict(re.findall(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)$", text, re.M))
        writers: Counter[str] = Counter()
        readers: Counter[str] = Counter()
        for number, line in _lines(text):
            stream = re.match(r'\s*hls::stream<(\w+)> (\w+)\("\w+"\);$', line)
            call = re.match(r"\s*(?:hwbnn::)?(\w+)(?:<.*>)?\(([\w, ]+)\);", line)
            if stream:
                kind, name = stream.groups()
                declared[name] = number
                width, words = reading.tokens.get(kind, (0, 0))
                if not 0 < width * words <= STREAM_BITS:
                    yield Violation(file, number, "stream width", f"{name}: {width * words} bits")
                if int(given.get(name, 0)) < 1:
                    yield Violation(file, number, "stream depth", f"{name}: none is declared")
            elif call:
                names = [n.strip() for n in call[2].split(",")]
                if call[1] == "hwbnn_network":
                    writes = [False, True]
                elif call[1] in reading.functions:
                    writes = reading.functions[call[1]][0]
                else:
                    yield Violation(file, number, "call", f"of an unknown function {call[1]}")
                    continue
                for name, written in zip(names, writes, strict=False):
                    (writers if written else readers)[name] += 1
        for name, number in declared.items():
            ends = writers[name], readers[name]
            if ends != (1, 1):
                text = f"{name}: {ends[0]} functions write it, {ends[1]} read it"
                yield Violation(file, number, "stream ends", text)


def _ports(reading: Reading) -> Iterator[Violation]:
    """The top function: packed words with an interface each; TLAST on streams."""
    text, border = reading.texts[TOP], reading.texts[BORDER]
    head = re.search(r"^void hwbnn_top\(((?:[^()]|\n)*)\) \{", text, re.M)
    if head is None:
        yield Violation(TOP, 1, "top", "no function hwbnn_top")
        return
    number = text[: head.start()].count("\n") + 1
    structs = {s.name: s for s in reading.structs(BORDER)}
    pragmas = re.findall(r"^    #pragma HLS INTERFACE (\w+) port=(\w+)$", text, re.M)
    modes = {port: mode for mode, port in pragmas}
    streamed = False
    for parameter in head[1].split(", "):
        stream = re.fullmatch(r"hls::stream<(\w+)::beat_t> &(\w+)", parameter)
        words = re.fullmatch(r"(?:const )?ap_uint<(\d+)> (\w+)\[(\d+)\]", parameter)
        name = stream[2] if stream else words[2] if words else ""
        if not name:
            yield Violation(TOP, number, "port", f"not of packed words: {parameter}")
            continue
        if modes.get(name) != ("axis" if stream else "ap_vld"):
            yield Violation(TOP, number, "port interface", f"{name}: {modes.get(name)}")
        struct = structs.get(f"{name}_port")
        if struct is None:
            yield Violation(BORDER, 1, "port", f"no struct {name}_port")
            continue
        n = struct.numbers
        bits, width = n["word_bits"], n["width"]
        beats = -(-n["n_elements"] // n["lanes"])
        if stream:
            streamed = True
            beat = struct.types.get("beat_t")
            if beat != f"ap_axiu<{bits}, 0, 0, 0>":
                yield Violation(BORDER, struct.line, "port without TLAST", f"{name}: {beat}")
            if bits % 8 or bits > STREAM_BITS:
                yield Violation(BORDER, struct.line, "port width", f"{name}: {bits} bits")
        elif (int(words[1]), int(words[3])) != (bits, beats):
            yield Violation(TOP, number, "port", f"{name}: other words than {name}_port")
        if bits > WORD_BITS or n["n_beats"] != beats or beats > UNROLLED:
            yield Violation(BORDER, struct.line, "port", f"{name}: {beats} words of {bits} bits")
        # As many elements as fit; an element in a word of its own would be padded.
        fits = min(n["n_elements"], (bits if stream else WORD_BITS) // width)
        if n["lanes"] != fits:
            found = f"{name}: {n['lanes']} elements of {width} bits in {bits} bits, {fits} fit"
            yield Violation(BORDER, struct.line, "port packing", found)
    if modes.get("return") != ("ap_ctrl_none" if streamed else "ap_ctrl_hs"):
        yield Violation(TOP, number, "port interface", f"return: {modes.get('return')}")
    for line, content in _lines(reading.texts[NETWORK]):
        if "INTERFACE" in content or "ARRAY_RESHAPE" in content:
            yield Violation(NETWORK, line, "pragma of a port inside", content.strip())
    axis = reading.project.text("firmware/nnet_utils/hwbnn_axis.h")
    if streamed and not re.search(r"\bbeat\.last = last;", axis):
        yield Violation("firmware/nnet_utils/hwbnn_axis.h", 1, "port without TLAST", "never set")
    if "struct" in border and "nnet::array" in head[1]:
        yield Violation(TOP, number, "port", "of nnet::array, whose elements are padded")


def _sizes(reading: Reading) -> Iterator[Violation]:
    """Parts of arrays and iterations of unrolled loops, as the config structs give them."""
    most = PARTITIONS
    if f"config_array_partition -maximum_size {UNROLLED}" in reading.project.text("build_prj.tcl"):
        most = UNROLLED
    calls = re.findall(r"hwbnn::(\w+)<.*, config(\d+)>", reading.texts[NETWORK])
    function = {f"config{index}": name for name, index in calls}
    for struct in reading.structs(PARAMETERS):
        n, called = struct.numbers, function.get(struct.name, "")
        elementwise = {"from_elements": ("in",), "to_elements": ("out",)}.get(called, ())
        parts = {
            f"words of {layout}": struct.words(layout) or 0
            for layout in ("in", "out", "other")
            if layout not in elementwise
        }
        names = ("pe", "n_groups", "window_words", "pixel_words", "weight_banks", "factor_banks")
        parts |= {name: n.get(name, 0) for name in (*names, "threshold_banks", "banks", "n_taps")}
        if "scaled" in called or "neurons" in called:
            parts["n_out"] = n.get("n_out", 0)
        if "simd" in n:
            bits = struct.types["terms"].removeprefix("hwbnn::") in BY_WORDS
            parts["terms of a step"] = n["row_words"] if bits else n["simd"]
        if "n_lines" in n:
            parts["lines"] = n["n_lines"] * n["pixel_words"]
        if called.startswith("lookup"):
            parts["tables"] = n["n_channels"]
        for what, count in parts.items():
            if count > most:
                yield Violation(PARAMETERS, struct.line, "partition", f"{what}: {count} parts")
        for name in ("simd", "pe", "row_words", "n_out", "n_levels", "n_taps", "window_words"):
            if n.get(name, 0) > UNROLLED:
                yield Violation(PARAMETERS, struct.line, "unroll", f"{name}: {n[name]} iterations")


def _constants(reading: Reading) -> Iterator[Violation]:
    """Constants are static and const, so that they become ROMs or logic."""
    for name in sorted(reading.project.files):
        if not name.startswith("firmware/weights/"):
            continue
        for number, line in _lines(reading.project.text(name)):
            if "= {" in line and not re.match(r"static const \w+_t \w+\[\d+\] = \{", line):
                yield Violation(name, number, "constant", line.partition("=")[0].strip())


def _pipeline(reading: Reading, most: int) -> Iterator[Violation]:
    """One pipelined function at the top schedules all layers together."""
    for number, line in _lines(reading.texts[TOP]):
        if "#pragma HLS PIPELINE" in line:
            sums = (s.numbers for s in reading.structs(PARAMETERS) if "simd" in s.numbers)
            synapses = sum(n["n_in"] * n["n_out"] for n in sums)
            if synapses > most:
                yield Violation(TOP, number, "pipeline at the top", f"{synapses} synapses")


def _headers(reading: Reading) -> Iterator[Violation]:
    """The rules of ``hls_rules``; chains of adders, above all in recurrences."""
    for name in reading.headers:
        text = reading.project.text(name)
        for found in hls_rules.violations(text):
            rule, _, what = found.partition(": ")
            at = text.find(what.strip().split("\n")[0])
            yield Violation(name, text[: max(at, 0)].count("\n") + 1, rule, what)
        for number, found in recurrences(text):
            yield Violation(name, number, "recurrence", found)


def recurrences(text: str) -> list[tuple[int, str]]:
    """Lines of a header in which more than one adder stands between a register and itself.

    An array that a pipelined loop reads and writes may be written in one form alone,
    ``a[i] = before + f(...)``, where ``before`` is its old element and f reads nothing of it. A
    scalar may not be added to in an unrolled loop: that is a chain as long as the loop.
    """
    found = []
    lines = re.sub(r"//[^\n]*", "", text).split("\n")
    loops: list[tuple[int, bool]] = []  # indentation, and whether it is unrolled
    carried: dict[str, int] = {}
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        while loops and line.strip() and indent <= loops[-1][0]:
            loops.pop()
        if re.match(r"\s*for \(", line):
            loops.append((indent, "UNROLL" in lines[i + 1]))
        before = re.search(r"\bbefore = .*? : (\w+)\[\w+\];", line)
        if before:
            carried[before[1]] = i
        statement = line.strip()
        written = re.match(r"(\w+)\[\w+\] (\S?=) (.*)", statement)
        if written and written[1] in carried:
            rest = " ".join([written[3], *lines[i + 1 : i + 3]])
            rest = rest.partition(";")[0]
            one = re.match(r"before \+ [\w:<>, ]+\(", rest)
            if written[2] != "=" or not one or re.search(rf"\bbefore\b|\b{written[1]}\b", rest[6:]):
                found.append((i + 1, statement))
        if re.match(r"(\w+) [+-]= ", statement) and any(unrolled for _, unrolled in loops):
            found.append((i + 1, statement))
    return found


def _scripts(reading: Reading) -> Iterator[Violation]:
    """The script synthesises the top function of the files that are there, at C++11."""
    script = reading.project.text("build_prj.tcl")
    project = reading.project.text("project.tcl")
    if 'set project_name "hwbnn_top"' not in project or "set_top $project_name" not in script:
        yield Violation("build_prj.tcl", 1, "top", "not hwbnn_top")
    for number, line in _lines(script):
        if "add_files" in line and ".cpp" in line and "-std=c++11" not in line:
            yield Violation("build_prj.tcl", number, "standard", line.strip())


def widest_stream(project: Project) -> int:
    """Bits of the widest stream of a project; 0 if it has none."""
    reading = Reading(project)
    kinds = re.findall(r"hls::stream<(\w+)> \w+\(", reading.texts[NETWORK] + reading.texts[TOP])
    return max(
        (width * words for width, words in map(reading.tokens.__getitem__, kinds)), default=0
    )
