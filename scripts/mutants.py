"""Mutants of a Python source: the same text with one small fault.

Kinds: a comparison replaced by a similar one (``<`` by ``<=``, ``==`` by ``!=``), an integer
increased or decreased by one, ``and`` exchanged with ``or`` and True with False, a condition
negated, an arithmetic operator replaced by its counterpart, ``None`` returned in place of a value,
and a call, a ``raise`` or an augmented assignment removed. Annotations, decorators, messages of
exceptions, f-strings and blocks for type checkers are not changed, because no test could or should
notice.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
Replacement = tuple[str, ast.AST, str]
"""Kind of the fault, the node to replace, and the new text."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        file: path of the source, relative to the repository.
        line: first line of the replaced text, from 1.
        start: offset of its first byte in the file.
        end: offset behind its last byte.
        kind: kind of the fault.
        before: the replaced text.
        after: the new text.
        function: first line of the innermost function around it, decorators included; 0 if none.
    """

    file: str
    line: int
    start: int
    end: int
    kind: str
    before: str
    after: str
    function: int

    @property
    def name(self) -> str:
        """A name that is unique within one version of the sources."""
        return f"{self.file}:{self.line}:{self.start}:{self.kind}:{self.after}"

    def applied(self, source: bytes) -> bytes:
        """The source with the fault."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants(file: str, source: bytes) -> list[Mutant]:
    """All candidates for mutants of a source; :func:`is_one` rejects a few of them."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    tree = ast.parse(source)
    found = []
    for function, (kind, node, after) in _replacements(tree, 0):
        start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        before = source[start:end].decode()
        line = node.lineno  # type: ignore[attr-defined]
        found.append(Mutant(file, line, start, end, kind, before, after, function))
    return sorted(found, key=lambda m: (m.start, m.kind, m.after))


def is_one(mutant: Mutant, source: bytes) -> bool:
    """Whether the changed source is valid Python and a different program."""
    try:
        changed = ast.parse(mutant.applied(source))
    except SyntaxError:
        return False
    return ast.dump(changed) != ast.dump(ast.parse(source))


def _replacements(node: ast.AST, function: int) -> Iterator[tuple[int, Replacement]]:
    """The replacements in a node and below it, each with the line of its function."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        function = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    for replacement in _of(node):
        yield function, replacement
    for child in _children(node):
        yield from _replacements(child, function)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """The children of a node that may be changed."""
    left_out: tuple[str, ...] = ("annotation", "returns", "decorator_list", "type_comment")
    if isinstance(node, ast.JoinedStr | ast.Raise) or _is_for_type_checkers(node):
        return
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("Literal", "Callable"):
        return
    if isinstance(node, ast.Assert):
        left_out += ("msg",)
    for name, value in ast.iter_fields(node):
        if name not in left_out:
            parts = value if isinstance(value, list) else [value]
            yield from (part for part in parts if isinstance(part, ast.AST))


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _of(node: ast.AST) -> Iterator[Replacement]:
    """The replacements of a node itself."""
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            if type(op) in COMPARISONS:
                ops = [*node.ops[:i], COMPARISONS[type(op)](), *node.ops[i + 1 :]]
                yield "comparison", node, _text(ast.Compare(node.left, ops, node.comparators))
    elif isinstance(node, ast.BoolOp):
        other = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield "and, or", node, _text(ast.BoolOp(other, node.values))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", node, _text(node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        if not any(isinstance(x, ast.JoinedStr) or _is_text(x) for x in (node.left, node.right)):
            swapped = ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
            yield "arithmetic", node, _text(swapped)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield "constant", node, str(not node.value)
        elif isinstance(node.value, int):
            yield "constant", node, str(node.value + 1)
            yield "constant", node, f"({node.value - 1})"
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        if not _is_for_type_checkers(node):
            yield "condition", node.test, f"(not ({ast.unparse(node.test)}))"
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value is None):
            yield "return", node, "return None"
    elif isinstance(node, ast.Raise | ast.AugAssign) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ):
        yield "removed", node, "pass"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _text(node: ast.expr) -> str:
    """The source text in brackets, so that it can replace any expression, even a long one."""
    return f"({ast.unparse(node)})"
