"""HLS projects of convolutional networks: streams alone, names kept out, depths of shortcuts."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwbnn.errors import InputError, PlanError
from hwbnn.graph import Add, Conv2d, Graph, Input, MaxPool, Node, Output, Rescale, SumPool
from hwbnn.plan import Folded, Plan
from hwbnn.targets import generate
from hwbnn.targets.hls import model
from hwbnn.targets.hls.calls import Call, calls_of
from hwbnn.targets.hls.depths import SHALLOW, SLACK, Processes, depths, least_depths
from hwbnn.targets.hls.describe import bench_data
from hwbnn.targets.hls.site import TOKEN_BITS
from tests.conv_strategies import random_conv_graph
from tests.targets.hls_networks import images

WIDE = Plan(input_beat=32, output_beat=32)


def test_images_are_for_streams_alone() -> None:
    with pytest.raises(InputError, match=r"node 'stem' \(Conv2d\) reads .* take io_stream"):
        generate(images(), "hls", io="io_parallel")
    assert generate(images(), "hls").digest == generate(images(), "hls", io="io_stream").digest
    pool = Graph((Input.bits((2, 2, 1)), MaxPool("pool", "x", (2, 2), (1, 1)), Output("y", "pool")))
    with pytest.raises(InputError, match="node 'pool'"):
        generate(pool, "hls", io="io_parallel")


def test_no_name_of_the_graph_reaches_the_code() -> None:
    files = generate(images(), "hls", Plan(fuse=False)).files
    names = "|".join(
        n.name for n in images().nodes if len(n.name) > 3 and n.name not in ("scaled", "stream")
    )
    code = re.sub(r"//.*", "", files["firmware/hwbnn_network.cpp"].decode())
    assert "fork_tokens" in code
    assert not re.search(rf"\b({names})\b", code)


def test_few_passes_of_hls4ml_run_on_our_layers(tmp_path) -> None:
    found = model(images(), folder=tmp_path)
    applied = {n for flow in found._applied_flows for s in flow.values() for n in s}
    assert "vivado:clone_output" not in applied
    assert "vitis:hwbnn_function_template" in applied


def test_every_stream_has_one_reader() -> None:
    for seed in range(40):
        made = calls_of(
            random_conv_graph(seed), Plan(WIDE.layers, Folded(1, 1), 32, 32), "io_stream"
        )
        read = [name for stage in made for name in stage.reads]
        assert len(read) == len(set(read))
        assert set(read) == {name for stage in made[:-1] for name in stage.streams}


def test_tokens_hold_at_most_their_limit() -> None:
    weights = np.ones((300, 1, 1, 2), bool)
    graph = Graph((Input("x", (3, 3, 2), -255, 255), Conv2d("c", "x", weights), Output("y", "c")))
    made = calls_of(graph, WIDE, "io_stream")
    sums = made[1]
    # 300 sums of 10 bits in chunks of 100.
    assert graph.types["c"].width == 10
    assert sums.shape == (9 * 3, 100)
    assert TOKEN_BITS == 1024


def test_too_much_for_one_cycle_is_refused() -> None:
    weights = np.ones((8, 3, 3, 520), bool)
    nodes = (Input("x", (3, 3, 520), 0, 3), Conv2d("c", "x", weights), Output("y", "c"))
    with pytest.raises(PlanError, match="found 4680 words of a window; use the target 'rtl'"):
        generate(Graph(nodes), "hls", Plan(default=Folded(1, 1), output_beat=16))


def deep(made: tuple[Call, ...]) -> dict[str, int]:
    """The streams that a shortcut needs deeper."""
    return {name: n for name, n in least_depths(made).items() if n > SHALLOW}


@pytest.mark.parametrize("seed", [47, 52, 69, 87, 118, 146])
def test_one_token_less_stands_still(seed: int) -> None:
    made = calls_of(random_conv_graph(seed), WIDE, "io_stream")
    least = least_depths(made)
    assert deep(made)
    assert not Processes.of(made, dict(least)).go()
    for name in deep(made):
        assert Processes.of(made, {**least, name: least[name] - 1}).go()


def test_shortcuts_alone_are_deep() -> None:
    made = calls_of(random_conv_graph(69), WIDE, "io_stream")
    found = depths(made)
    assert found == {
        name: n + SLACK if name in deep(made) else n for name, n in least_depths(made).items()
    }
    text = generate(random_conv_graph(69), "hls", WIDE).text("firmware/hwbnn_network.cpp")
    given = [int(n) for n in re.findall(r"#pragma HLS STREAM variable=\w+ depth=(\d+)", text)]
    assert sorted(given) == sorted(found.values())
    chain = calls_of(random_conv_graph(69, shortcuts=False), WIDE, "io_stream")
    assert max(depths(chain).values()) <= SHALLOW


def around(layers: int, size: int) -> Graph:
    """A shortcut around many element-wise layers of an image."""
    one, none = np.ones(1, np.int64), np.zeros(1, np.int64)
    nodes: list[Node] = [Input("x", (size, size, 1), -7, 7)]
    for i in range(layers):
        nodes.append(Rescale(f"r{i}", nodes[-1].name, one, none, none, -7, 7))
    pool = SumPool("pool", nodes[-1].name, (3, 3), (1, 1), (1, 1, 1, 1))
    return Graph((*nodes, pool, Add("sum", "x", "pool"), Output("y", "sum")))


def test_the_work_grows_with_the_moves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [0]
    advance = Processes._advance

    def counted(run: Processes, i: int) -> None:
        calls[0] += 1
        advance(run, i)

    monkeypatch.setattr(Processes, "_advance", counted)
    share = []
    for layers in (10, 80):
        calls[0] = 0
        made = calls_of(around(layers, 12), WIDE, "io_stream")
        assert deep(made)
        share.append(calls[0] / sum(2 * stage.tokens * len(stage.streams) for stage in made))
    assert max(share) < 1.5
    assert share[1] < 1.5 * share[0]


def test_frames_of_too_many_tokens_are_refused_before_they_are_gone_through() -> None:
    with pytest.raises(PlanError, match=r"shortcuts: HLS takes up to .* tokens a frame .* found"):
        least_depths(calls_of(around(1, 1500), WIDE, "io_stream"))


def test_benches_of_large_frames_have_fewer_frames() -> None:
    def lines(size: int) -> int:
        graph = Graph((Input.bits((size, size, 1)), Output("y", "x")))
        return len(bench_data(graph)["tb_data/tb_input_features.dat"].splitlines())

    assert [lines(10), lines(1000), lines(2000)] == [8, 2, 1]
