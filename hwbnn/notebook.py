"""Tables of HTML that notebooks show for values of hwbnn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as HTML; every text in it is escaped, names of strangers too.

    Args:
        title: the caption, above the table.
        columns: the heads of the columns.
        rows: the cells, row by row. Numbers are aligned on the right.

    >>> html_table("a < b", ["n"], [[1]])
    '<table><caption>a &lt; b</caption><tr><th>n</th></tr><tr><td align="right">1</td></tr></table>'
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'<td align="right">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"
