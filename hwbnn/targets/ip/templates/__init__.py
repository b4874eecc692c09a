"""Templates of generated files: plain text in which ``<<name>>`` stands for a value.

They end in ``.in``, so that no tool takes them for files of this project.
The marks are none of Tcl's, Verilog's, Make's, Python's or XML's own, so that a template reads as
the file that it becomes.
"""

from __future__ import annotations

import re
from importlib.resources import files

_MARK = re.compile(r"<<(\w+)>>")


def filled(template: str, **values: object) -> str:
    """A template, by the name of the file that it becomes, with all its marks replaced.

    Raises:
        KeyError: if a mark has no value, or a value no mark.
    """
    text = files(__name__).joinpath(f"{template}.in").read_text()
    unused = values.keys() - set(_MARK.findall(text))
    if unused:
        raise KeyError(f"{template}: no mark for {', '.join(sorted(unused))}")
    return _MARK.sub(lambda mark: str(values[mark[1]]), text)
