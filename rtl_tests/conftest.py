"""What the module and network tests share: compiled modules and scratch folders."""

from __future__ import annotations

import pytest

from hwbnn.assets import assets
from hwbnn.verification import cocotb_run
from rtl_tests.bench import WRAPPERS, ModuleBench


@pytest.fixture
def module(tmp_path):
    """Compile a module with parameters: ``module(name, simulator, {...}, **parameters)``.

    A name of one of our wrappers, which give stream ports to modules that have none, will do too;
    the dict has fields of :class:`rtl_tests.bench.ModuleBench`.
    """

    def compiled(top, simulator="icarus", bench=None, defines=(), **parameters):
        wrapper = WRAPPERS / f"{top}.sv"
        sources = [*sorted(assets("rtl").glob("*.sv")), *([wrapper] if wrapper.is_file() else [])]
        folder = tmp_path / f"build{sum(1 for _ in tmp_path.iterdir())}"
        built = cocotb_run.build_module(
            sources, top, folder, simulator=simulator, parameters=parameters
        )
        return ModuleBench(built, tmp_path, **(bench or {}))

    return compiled
