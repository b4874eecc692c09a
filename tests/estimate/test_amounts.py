"""Amounts of logic and memory in stages and blocks, against measured ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.estimate.amounts import amounts
from hwbnn.estimate.primitives import (
    Memory,
    Tree,
    columns,
    count_tree,
    match_tables,
    match_tree,
    patterns,
    ram,
    rom,
    rom_of,
    row_tree,
    tree,
)
from hwbnn.graph import NODE_TYPES, ArgMax, Dot, Graph, Input, Output
from hwbnn.graph.arrays import Bools
from hwbnn.netlists.netlist import Lut
from hwbnn.plan import Folded, Plan, TokenStream, Unrolled, circuit
from hwbnn.plan.blocks import ArgMaxBlock, Block, ByElement, LookupBlock, Pool
from hwbnn.plan.products import DotFolded, DotNetlist, WeightedFolded
from hwbnn.plan.stages import Pipeline, Stage
from tests.conv_strategies import conv_graphs, random_conv_graph
from tests.strategies import graphs, plans, random_graph, random_plan


def _random(depth: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (depth, width)).astype(np.bool_)


# Measured: each memory alone, random contents, yosys 0.70 synth_xilinx.
@pytest.mark.parametrize(
    ("depth", "width", "lut", "ff", "bram36"),
    [
        *((16, 64, 64, 64, 0), (64, 64, 64, 64, 0), (128, 64, 128, 64, 0), (256, 64, 256, 64, 0)),
        *((512, 64, 0, 0, 1), (128, 512, 1024, 512, 0), (32, 1024, 1024, 1024, 0)),
    ],
)
def test_roms_are_as_measured(depth: int, width: int, lut: int, ff: int, bram36: int) -> None:
    assert rom(_random(depth, width)) == Memory(lut, ff, 0, bram36)


@pytest.mark.parametrize(("depth", "width", "lut"), [(512, 8, 90), (1024, 8, 172), (2048, 4, 179)])
def test_deep_roms_need_luts_to_select(depth: int, width: int, lut: int) -> None:
    assert rom(_random(depth, width)).lut == pytest.approx(lut, rel=0.1)


@pytest.mark.parametrize(
    ("depth", "width", "registered", "lut", "ff", "bram36"),
    [
        *((1, 8, False, 0, 8, 0), (2, 4, False, 4, 0, 0), (2, 64, False, 44, 0, 0)),
        *((20, 64, False, 44, 0, 0), (33, 64, False, 88, 0, 0), (8, 1, False, 4, 0, 0)),
        *((2, 4, True, 4, 4, 0), (64, 64, True, 88, 64, 0)),
        *((128, 64, True, 0, 0, 1), (256, 64, True, 0, 0, 1)),
    ],
)
def test_rams_are_as_measured(
    depth: int, width: int, registered: bool, lut: int, ff: int, bram36: int
) -> None:
    assert ram(depth, width, registered=registered) == Memory(lut, ff, 0, bram36)


def test_a_ram_becomes_a_block_ram_where_its_cells_cost_more() -> None:
    """A cell costs 8, half a block RAM 129: 16 cells stay in LUTs, 17 do not."""
    for cells in range(1, 40):
        taken = ram(32, 6 * cells, registered=True)  # a row of cells of 6 x 32 bits
        halves, whole = -(-6 * cells // 36), -(-6 * cells // 72)
        is_block = min(129 * halves, 257 * whole) < 8 * cells
        assert bool(taken.bram18 or taken.bram36) == is_block
        assert taken.lut == (0 if is_block else 4 * cells)
    assert ram(128, 24, registered=True).bram18 == 0  # 16 cells
    assert ram(128, 25, registered=True).bram18 == 1  # 20 cells


def test_a_table_of_two_outputs_takes_two_luts_in_the_portable_form_alone() -> None:
    graph = Graph(
        (Input.bits(24), Dot("d", "x", np.random.default_rng(1).random((9, 24)) < 0.5),
         Output("y", "d"))
    )  # fmt: skip
    hardware = circuit(graph, Plan(default=Unrolled(form="xc7")))
    [block] = [block for block in hardware.blocks if isinstance(block, DotNetlist)]
    double = sum(isinstance(cell, Lut) and cell.second > 0 for cell in block.netlist.cells)
    assert double
    luts = {form: amounts(replace(block, form=form)).lut for form in ("portable", "xc7", "xcup")}
    assert luts["portable"].total() == luts["xc7"].total() + double
    assert luts["xcup"] == luts["xc7"]


def test_deep_rams_without_a_register_stay_in_luts() -> None:
    for depth, measured in ((70, 200), (130, 417)):
        made = ram(depth, 64, registered=False)
        assert made.lut == pytest.approx(measured, rel=0.2)
        assert made.bram36 == made.bram18 == 0


def _columns(rows: Bools) -> int:
    return columns(len(rows), lambda count: rows[:count])


def test_columns_that_are_equal_or_constant_are_made_once() -> None:
    rows = _random(40, 12)
    assert _columns(rows) == 12
    assert _columns(np.concatenate([rows, rows[:, :5]], axis=1)) == 12
    assert _columns(np.concatenate([rows, np.ones((40, 3), np.bool_)], axis=1)) == 12
    assert _columns(np.zeros((40, 3), np.bool_)) == 0
    assert _columns(_random(1, 9)) == 0


def test_columns_are_counted_as_by_comparing_all_of_them() -> None:
    """Also where columns differ late, are constant for long, or are the same."""
    rng = np.random.default_rng(8)
    for depth in (1, 2, 3, 7, 8, 9, 63, 64, 65, 66, 130, 200):
        for density in (0.0, 0.02, 0.5, 0.98, 1.0):
            rows = rng.random((depth, 30)) < density
            rows = rows[:, rng.integers(0, 30, int(rng.integers(1, 60)))]
            rows[: int(rng.integers(0, depth + 1))] = rows[0]
            wanted = {tuple(c) for c in rows.T.tolist() if len(set(c)) > 1}
            assert _columns(rows) == len(wanted)


def test_different_columns_are_found_in_the_first_words_alone() -> None:
    rows = _random(300, 50)
    asked: list[int] = []

    def first_rows(count: int) -> Bools:
        asked.append(count)
        return rows[:count]

    assert columns(300, first_rows) == 50
    assert asked == [64]
    # A memory that becomes block RAM is not looked at.
    assert rom_of(4096, 512, lambda count: pytest.fail("made for nothing")).lut == 0


def test_the_first_rows_of_weights_are_those_of_the_memory() -> None:
    """For every ``pe``, ``simd`` and number of groups, padded or not."""
    rng = np.random.default_rng(9)
    for _ in range(60):
        groups, channels, inputs = (int(n) for n in rng.integers(1, (4, 9, 14)))
        pe, simd = int(rng.integers(1, channels + 1)), int(rng.integers(1, inputs + 1))
        for kind, largest in ((DotFolded, 1), (WeightedFolded, 5)):
            weights = rng.integers(-largest, largest + 1, (groups * channels, inputs))
            if kind is DotFolded:
                weights = np.where(weights < 0, -1, 1)
            source = TokenStream(groups * inputs, simd, 2)
            sums = TokenStream(groups * channels, pe, 9)
            block = kind("d", source, source, sums, "d", weights, 2, "bit_planes", pe, simd, False,
                         groups=groups)  # fmt: skip
            whole = block.memory
            assert whole.shape == (block.rows, block.row_bits)
            for rows in range(1, block.rows + 1):
                assert np.array_equal(block.first_rows(rows), whole[:rows])
            # By definition: row by row, lane by lane.
            width = block.row_bits // (pe * simd)
            for row, bits in enumerate(whole.reshape(block.rows, pe, simd, width)):
                turn, step = divmod(row, block.steps)
                group, turn = divmod(turn, block.passes)
                for i, j in np.ndindex(pe, simd):
                    channel, of = turn * pe + i, step * simd + j
                    if channel < channels:
                        beyond = 1 if kind is DotFolded else 0
                        w = int(weights[group * channels + channel, of]) if of < inputs else beyond
                        value = (w > 0) if kind is DotFolded else w % (1 << width)
                        assert sum(int(b) << k for k, b in enumerate(bits[i, j])) == value


def test_a_tree_is_counted_adder_by_adder() -> None:
    # 6 6 6 -> 12 6 -> 18: adders of 4 and 5 bits; a register behind each level.
    assert tree([(6, 0)] * 3, per_register=1) == Tree(4 + 5, (4 + 3) + 5, 3)
    # With two levels between registers only the last has one.
    assert tree([(6, 0)] * 3, per_register=2) == Tree(4 + 5, 5, 1)
    # The groups count as a level: registers behind the first adders and the last.
    assert count_tree(18, per_register=2) == Tree(4 + 5, (4 + 3) + 5, 3)
    assert count_tree(6, per_register=2) == Tree(0, 3, 1)
    # Low bits that are zero on one side need no adder.
    assert tree([(3, 0), (6, 1)], per_register=1) == Tree(3, 4, 1)
    assert row_tree(6, 1, 2) == row_tree(6, 1, 2, varying=True) == count_tree(6, 2)


def test_where_weights_vary_threes_are_counted() -> None:
    # Six threes: as many sums, of which three bits count, and as many carries, worth two each.
    assert match_tables(18) == 12 + 6
    # 6 12 -> 18: four adders, since a carry has no lowest bit; registers behind counts and sum.
    assert match_tree(18, per_register=2) == Tree(4, (3 + 3) + 5, 3)
    # Threes and their counts have a level each here, so with one level there are registers between.
    assert match_tree(18, per_register=1) == Tree(4, 12 + (3 + 3) + 5, 12 + 3)
    assert row_tree(18, 1, 2, varying=True) == match_tree(18, 2)


@given(st.integers(7, 300), st.integers(1, 5))
def test_tables_and_adders_are_fewer_than_those_of_a_popcount(inputs: int, levels: int) -> None:
    assert match_tree(inputs, levels).adders <= count_tree(inputs, levels).adders
    # Of a popcount every product takes a LUT where weights vary, and six of them three tables.
    assert match_tables(inputs) <= inputs + 3 * -(-inputs // 6)


@given(st.integers(1, 300), st.integers(1, 5))
def test_a_popcount_adds_up_to_its_inputs(inputs: int, levels: int) -> None:
    made = count_tree(inputs, levels)
    assert made.registers >= inputs.bit_length()
    assert made.adders <= 2 * inputs
    assert (made.adders == 0) == (inputs <= 6)


def test_patterns_are_shared_between_channels() -> None:
    one = _random(1, 64)
    assert patterns(one) == 11
    assert patterns(np.repeat(one, 9, axis=0)) == 11
    assert patterns(np.concatenate([one, ~one])) == 11
    # At most half of all patterns of a group differ up to complement.
    assert patterns(_random(2000, 12)) == 2 * 32
    assert patterns(_random(2000, 3)) == 4


def test_every_stage_and_block_is_known() -> None:
    def kinds(base: type) -> set[type]:
        return {base} | {kind for sub in base.__subclasses__() for kind in kinds(sub)}

    for kind in (kinds(Stage) | kinds(Block)) - {Stage, Block, ByElement, Pool}:
        assert amounts.dispatch(kind) is not amounts.dispatch(object), kind.__name__


@given(st.data())
def test_parts_of_random_circuits_add_up(data: st.DataObject) -> None:
    graph = data.draw(st.one_of(graphs(max_width=40), conv_graphs()))
    made = circuit(graph, data.draw(plans(graph)))
    for stage in made.stages:
        found = amounts(stage)
        assert all(amount >= 0 for amount in (*found.lut.values(), *found.ff.values()))
        if isinstance(stage, Pipeline):
            blocks: Counter[str] = Counter()
            for block in stage.blocks:
                blocks.update(amounts(block).lut)
            assert all(found.lut[name] >= amount for name, amount in blocks.items())


def test_random_circuits_reach_every_kind_of_node() -> None:
    met = set()
    for seed in range(40):
        if seed % 2:
            graph = random_conv_graph(seed, concat=seed % 4 == 1)
        else:
            graph = random_graph(seed, max_width=20)
        met |= {type(node) for node in graph.nodes}
        for stage in circuit(graph, random_plan(seed, graph)).stages:
            amounts(stage)
    assert met == set(NODE_TYPES)


def test_a_block_ram_is_as_deep_and_as_wide_as_it_is() -> None:
    """One row or one column more takes the next size, or another one."""
    for width, depth in ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384)):
        whole = np.random.default_rng(depth).random((depth, width)) < 0.5
        assert rom(whole) == Memory(bram18=1)
        assert rom(np.concatenate((whole, ~whole[:1]))) != Memory(bram18=1)
        assert rom(np.concatenate((whole, ~whole[:, :1]), axis=1)) != Memory(bram18=1)
    # Nine cells of LUTs as deep as 32 are dearer than a block RAM that is read with a register.
    assert ram(512, 36, registered=True).bram18 == 1


@pytest.mark.parametrize(("lanes", "kept"), [(2, 1), (4, 3), (5, 6), (8, 7)])
def test_a_tree_of_comparisons_keeps_the_better_of_each_pair(lanes: int, kept: int) -> None:
    """With a register behind each level: as many as there are pairs, and those left over."""
    source, result = TokenStream(lanes, lanes, 5, signed=True), TokenStream(1, 1, 3)
    taken = amounts(ArgMaxBlock("a", "a", source, result, 1))
    assert taken.ff["exact"] == kept * (5 + 1 + 3)
    assert taken.lut["larger"] == (lanes - 1) * (5 + 1)


@pytest.mark.parametrize(("step", "products"), [(1, 0), (3, 4)])
def test_a_table_of_every_step_divides_by_a_product(step: int, products: int) -> None:
    source, result = TokenStream(8, 4, 5, signed=True), TokenStream(8, 4, 3)
    table = np.arange(8)[:, None] + np.arange(4)
    block = LookupBlock("l", "l", source, result, 0, 0, step, table % 8)
    assert amounts(block).dsp == products


def test_the_adders_of_folded_integers_by_planes_are_those_of_the_trees() -> None:
    """For each neuron one tree for each of three planes, and one over the planes.

    Four numbers of four bits: 5 + 5 + 6 bits of adders. Planes of up to 60, 120 and 240: adders of
    8 and 9 bits, without the one and the two lowest, which are wires.
    """
    weights = np.random.default_rng(0).integers(-7, 8, (8, 16))
    graph = Graph((Input("x", (16,), 0, 7), Dot("d", "x", weights), Output("y", "d")))
    layout = Folded(2, 4, "bit_planes", "luts")
    made = circuit(graph, Plan(layers={"d": layout}, output_beat=16))
    (block,) = (block for block in made.blocks if isinstance(block, WeightedFolded))
    assert amounts(block).lut["adder_weighted"] == 2 * (3 * (5 + 5 + 6) + (8 - 1) + (9 - 2))


def test_folded_ternary_weights_mask_each_plane_of_each_neuron() -> None:
    """2 neurons, 3 planes, 8 inputs at a time, which two counters of at most six count."""
    weights = np.random.default_rng(0).integers(-1, 2, (8, 16))
    graph = Graph((Input("x", (16,), 0, 7), Dot("d", "x", weights), Output("y", "d")))
    made = circuit(graph, Plan(layers={"d": Folded(2, 8)}, output_beat=16))
    (block,) = (block for block in made.blocks if isinstance(block, WeightedFolded))
    counted = amounts(block).lut
    assert counted["mask"] == 2 * 3 * 8
    assert counted["pattern"] == 2 * 3 * 2


def test_the_registers_of_the_largest_of_several_tokens() -> None:
    """6 scores of 4 bits, two in a token: one comparison, the best so far, and two counters.

    A score has 5 bits there, an index 3; two counters up to 3 tokens have 2 bits each.
    """
    graph = Graph((Input("x", (6,), 0, 15), ArgMax("best", "x"), Output("y", "best")))
    made = circuit(graph, Plan(input_beat=8))
    (block,) = (block for block in made.blocks if isinstance(block, ArgMaxBlock))
    assert (block.source.lanes, block.source.tokens) == (2, 3)
    assert amounts(block).ff["exact"] == (5 + 3) + 5 + 2 * 3 + 2 * 2
