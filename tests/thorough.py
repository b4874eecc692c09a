"""Cases that are many of one kind: each run of the tests takes some, ``--thorough`` takes all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

SHARE = 3
"""Of so many cases of a kind, one is tried in each run."""


def some(cases: Sequence[Any]) -> list[Any]:
    """The cases for ``parametrize``: each third, the first included, and the others as thorough.

    A case of several arguments is a tuple of them.
    """
    made = []
    for i, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        marks = () if i % SHARE == 0 else (pytest.mark.thorough,)
        made.append(pytest.param(*values, marks=marks))
    return made
