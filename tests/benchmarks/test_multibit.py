"""What the benchmark of inputs of several bits has measured."""

from __future__ import annotations

import json

from benchmarks.luts import multibit

ROWS = json.loads(multibit.RESULTS.read_text())


def test_rows_are_samples_of_the_benchmark_measured_once() -> None:
    names = [multibit.key(row) for row in ROWS]
    assert len(set(names)) == len(names)
    samples = {
        multibit.key({"bits": bits, "layout": shape, "sums": layout.sums, "module": module})
        for bits, layout, module in multibit.samples()
        for shape in ("folded 8 x 8" if hasattr(layout, "pe") else "unrolled",)
    }
    assert set(names) <= samples
    assert {row["tool"] for row in ROWS} == {"yosys 0.70 synth_xilinx -family xc7"}


def test_the_cheaper_way_is_the_one_that_the_search_expects() -> None:
    """Adders take fewer LUTs than planes, and bit-serial sums fewest, for more cycles."""
    found = {multibit.key(row): row for row in ROWS}
    for bits in multibit.BITS:
        planes, adders, serial = (
            found[f"{bits} folded 8 x 8 {sums} {multibit.PRODUCT}"]
            for sums in ("bit_planes", "adder_tree", "bit_serial")
        )
        assert planes["lut"] > adders["lut"] > serial["lut"]
        assert serial["cycles_a_frame"] == bits * planes["cycles_a_frame"]
        assert adders["cycles_a_frame"] == planes["cycles_a_frame"]
