"""Messages for missing optional packages."""

from __future__ import annotations

from importlib import import_module

import pytest

from hwbnn.errors import ToolNotFound
from hwbnn.tools.packages import explained


def test_a_missing_optional_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The room binds a function over the file of the same name.
    monkeypatch.setattr(import_module("hwbnn.tools.find"), "_in_package", lambda entry: None)
    for name in ("torch", "torch.nn", "cocotbext.axi"):
        found = explained(ModuleNotFoundError("none", name=name))
        assert isinstance(found, ToolNotFound)
        assert "pip install" in str(found)


def test_other_modules_stay_as_they_are() -> None:
    for name in ("a_users_own", "", None):
        error = ModuleNotFoundError("none", name=name)
        assert explained(error) is error
