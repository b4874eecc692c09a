"""What Vitis HLS takes, as checks on the text of a header: :func:`violations` lists what breaks it.

The checks read our own style of C++ (one statement a line, functions as templates), not all of it;
what they cannot read they report.
"""

from __future__ import annotations

import re

LIMIT = 4096
"""Vitis unrolls and partitions up to this."""
WORD_LIMIT = 1024
"""Bits of the widest ``ap_uint``."""

FORBIDDEN = {
    "heap": r"\b(new|delete|malloc|calloc|realloc|free)\b",
    "virtual calls": r"\b(virtual|dynamic_cast|typeid)\b",
    "library types": r"\bstd\s*::",
    "exceptions": r"\b(throw|try|catch)\b",
    "loops without static bounds": r"\b(while|do|goto)\b",
    "floating point": r"\b(float|double)\b",
    "code that differs in synthesis": r"__SYNTHESIS__|__VITIS_HLS__",
}
PRAGMA = re.compile(
    r"#pragma HLS (INLINE|UNROLL|PIPELINE II=(1|interval)|LOOP_FLATTEN off|"
    r"BIND_OP variable=\w+ op=mul impl=(dsp|fabric)|"
    r"ARRAY_PARTITION variable=\w+ (complete( dim=\d)?|(cyclic|block) factor=\w+))$"
)
LOOPS = ("UNROLL", "PIPELINE II=1", "PIPELINE II=interval", "LOOP_FLATTEN off")
LOOPS = tuple(f"#pragma HLS {how}" for how in LOOPS)
"""How the body of a loop begins that is not just around another.  ``interval`` is a constant."""
FOR = re.compile(r"for \((?:unsigned|int) (\w+) = 0; \1 < ([^;]+); \1\+\+\) \{$")
FUNCTION = re.compile(
    r"^((?: {4})?)(?:[\w:<>,&* ]+ )?\*?(\w+)\((?:[^()]|\n)*\) \{\n(.*?)^\1\}$",
    re.MULTILINE | re.DOTALL,
)
STRUCT = re.compile(
    r"^(?:template <[^>]*> )?struct \w+[^;{]*\{\n(.*?)^\};$", re.MULTILINE | re.DOTALL
)
MEMBER = re.compile(
    r"^ {4}(?! |return\b)(?:typename )?[\w:<>, ]+ (\w+)(?:\[[^\]]+\])+;$", re.MULTILINE
)
ARRAY = re.compile(r"^ +(?! |return\b)[\w:<> ]+ (\w+)(?:\[[^\]]+\])+;$", re.MULTILINE)
CALL = re.compile(r"\b(\w+)(?:<(?:[^;(){}<>]|<[^;(){}<>]*>)*>)?\(")
HALVED = re.compile(r"\badder_tree<N(?: - N)? / 2>::template sum<sum_T, term_T>\(")
"""A tree of half the size: templates that end after as many steps as the tree has levels."""
KEYWORDS = frozenset({"if", "for", "return", "sizeof", "int", "static_assert"})


def violations(text: str) -> list[str]:
    """Everything in a header that Vitis HLS would refuse or unroll without bound."""
    code = re.sub(r"//[^\n]*", lambda m: " " * len(m.group()), text)
    code = "\n".join(line.rstrip() for line in code.split("\n"))
    found = [
        f"{what}: {match.group().strip()}"
        for what, pattern in FORBIDDEN.items()
        for match in re.finditer(pattern, code)
    ]
    found += [f"limit: {number}" for number in re.findall(r"\b\d+\b", code) if int(number) > LIMIT]
    found += [
        f"word: ap_int of {width} bits"
        for width in re.findall(r"\bap_u?int<(\d+)>", code)
        if int(width) > WORD_LIMIT
    ]
    return found + _pragmas(code) + _loops(code) + _arrays(code) + _recursion(code)


def _pragmas(code: str) -> list[str]:
    lines = (line.strip() for line in code.split("\n"))
    return [f"pragma: {s}" for s in lines if s.startswith("#pragma") and not PRAGMA.match(s)]


def _loops(code: str) -> list[str]:
    """Loops: named, from 0 to a constant, unrolled or pipelined or around one that is.

    One whose body calls a function that pipelines its own loops says ``LOOP_FLATTEN off``.
    """
    lines = code.split("\n")
    found = []
    for i, line in enumerate(lines):
        if not re.match(r"\s*for\b", line):
            continue
        match = FOR.match(line.strip())
        if match is None:
            found.append(f"loop: not of the form that is checked: {line.strip()}")
            continue
        if not re.match(r"\s*[A-Z]\w*:$", lines[i - 1]):
            found.append(f"loop: no name: {line.strip()}")
        if not _constant(match.group(2), code):
            found.append(f"loop: bound is no constant: {match.group(2)}")
        body = [s.strip() for s in lines[i + 1 : i + 4]]
        around = re.match(r"[A-Z]\w*:$", body[0]) and body[1].startswith("for ")
        if body[0] not in LOOPS and not around:
            found.append(f"loop: neither unrolled nor pipelined: {line.strip()}")
    return found


def _constant(bound: str, code: str) -> bool:
    """Whether a bound is made of literals, template parameters and static constants."""
    names = re.findall(r"(?:\w+::)*\w+", bound)
    declared = set(re.findall(r"\bstatic const (?:unsigned|int) (\w+)", code))
    return bool(names) and all(
        n.isdigit() or n.isupper() or "::" in n or n in declared for n in names
    )


def _arrays(code: str) -> list[str]:
    """Arrays inside functions, and those of objects: each with its own partition."""
    partitioned = re.compile(r"ARRAY_PARTITION variable=(\w+)")
    return [
        f"array: no partition: {array}"
        for _, _, body in FUNCTION.findall(code)
        for array in ARRAY.findall(body)
        if array not in partitioned.findall(body)
    ] + [
        f"array: no partition: {array}"
        for body in STRUCT.findall(code)
        for array in MEMBER.findall(body)
        if array not in partitioned.findall(body)
    ]


def _recursion(code: str) -> list[str]:
    """Functions that reach themselves through calls; functions are told apart by name."""
    calls: dict[str, set[str]] = {}
    for _, name, body in FUNCTION.findall(HALVED.sub("", code)):
        called = CALL.findall(body)
        calls.setdefault(name, set()).update(set(called) - KEYWORDS)
    reached = {name: set(called) for name, called in calls.items()}
    for _ in reached:
        for name, called in reached.items():
            called.update(*(reached.get(other, ()) for other in set(called)))
            reached[name] = called
    return [f"recursion: {name}" for name, called in reached.items() if name in called]


def functions(text: str) -> list[str]:
    """Names of the functions that the checks see in a header."""
    return [name for _, name, _ in FUNCTION.findall(re.sub(r"//[^\n]*", "", text))]
