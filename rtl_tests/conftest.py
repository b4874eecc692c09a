"""What the module and network tests share: compiled modules and scratch folders."""

from __future__ import annotations

import pytest

from hwbnn.assets import assets
from hwbnn.verification import cocotb_run
from rtl_tests.bench import WRAPPERS, ModuleBench
from rtl_tests.forks import Forks

collect_ignore = ["driver_bench.py"]
"""It reads its job from the simulator that imports it; pytest would look for doctests in it."""


@pytest.fixture
def module(tmp_path):
    """Compile a module with parameters: ``module(name, simulator, {...}, **parameters)``.

    A name of one of our wrappers, which give stream ports to modules that have none, will do too;
    the dict has fields of :class:`rtl_tests.bench.ModuleBench`. ``defines`` are macros of the
    preprocessor. ``replace`` plants faults: names of modules, a text that stands in each once, and
    what stands there instead.
    """

    def compiled(top, simulator="icarus", bench=None, defines=(), *, replace=(), **parameters):
        wrapper = WRAPPERS / f"{top}.sv"
        sources = [*sorted(assets("rtl").glob("*.sv")), *([wrapper] if wrapper.is_file() else [])]
        folder = tmp_path / f"build{sum(1 for _ in tmp_path.iterdir())}"
        for name, text, change in replace:
            (at,) = (i for i, path in enumerate(sources) if path.stem == name)
            whole = sources[at].read_text()
            assert whole.count(text) == 1, f"{name}: {text} is there {whole.count(text)} times"
            broken = tmp_path / f"{folder.name}_{name}.sv"
            broken.write_text(whole.replace(text, change))
            sources[at] = broken
        built = cocotb_run.build_module(
            sources, top, folder, simulator=simulator, parameters=parameters, defines=defines
        )
        if simulator == "icarus":
            started.append(Forks(built, tmp_path))
        forks = started[-1] if simulator == "icarus" else None
        return ModuleBench(built, tmp_path, forks=forks, **(bench or {}))

    started = []
    yield compiled
    for forks in started:
        forks.close()
