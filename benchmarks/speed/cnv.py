"""CNV images a second by every way of computing it, its distance from the machine's limit, memory.

usage: python -m benchmarks.speed cnv [--rounds N] [--seconds S] [--only KINDS]

Writes ``benchmarks/results/cnv.json`` and the table beside it. ``HWBNN_DATA`` names the folder of
CIFAR-10's batches; without it pixels are random.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, limit
from benchmarks.harness import describe, race
from benchmarks.speed import memory
from benchmarks.speed.instrumented import Instrumented
from benchmarks.speed.networks import cnv, macs, pictures, words
from benchmarks.speed.ways import CNV, Way
from hwbnn.graph import Conv2d, Dot, Graph
from hwbnn.graph.arrays import Bytes
from hwbnn.simulators import simulate

RESULTS = Path(__file__).parent.parent / "results"
KINDS = tuple(dict.fromkeys(way.kind for way in CNV))
TURNS = 8
"""How often the limit and the network are measured, one behind the other."""
COMPARED = 16
"""Images whose every value is compared between the fast and the plain simulator."""
MIB = 1 << 20


def main() -> None:
    """Measure, print, write."""
    given = harness.arguments(__doc__, KINDS, RESULTS)
    machine = describe()
    (graph, which), (images, pixels) = cnv(), pictures()
    chosen = [way for way in CNV if way.kind in given.only.split(",")]
    compared = _compared(graph, images)
    with tempfile.TemporaryDirectory(prefix="hwbnn-bench-") as scratch:
        memory.prepare(graph, images[: max(way.alone for way in CNV)], Path(scratch))
        entries = [way.contender(graph, images, Path(scratch)) for way in chosen]
        race(entries, given.rounds, given.seconds)
        took = [_memory(way, Path(scratch)) for way in chosen]
    total = sum(macs(graph).values())
    found = {
        "what": f"CNV, {total:,} multiply-accumulates an image; {which}; {pixels}",
        "digest": graph.digest,
        "machine": {**machine, "load_after": describe()["load_before"]},
        "rounds": given.rounds,
        "compared": {"images": COMPARED, "codes": compared},
        "images_per_second": [harness.entry(c) for c in entries],
        "limit": distance(graph, Instrumented(graph), images),
        "memory": took,
    }
    table = _table(found)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "cnv.json").write_text(json.dumps(found, indent=2) + "\n")
    (given.out / "cnv.md").write_text(table)
    print(table)


def _compared(graph: Graph, images: Bytes) -> int:
    """How many codes of the values of a few images were compared; all of them are equal."""
    found, expected = (
        simulate(graph, images[:COMPARED], engine=name, trace=True) for name in ("fast", "plain")
    )
    for name, codes in expected.items():
        if not np.array_equal(found[name], codes):
            raise AssertionError(f"fast simulator: value '{name}' differs from the plain one's")
    return sum(codes.size for codes in expected.values())


def _memory(way: Way, folder: Path) -> dict[str, Any]:
    took = memory.measure(way, folder)
    mib = {name: round(size / MIB) for name, size in took.items()}
    return {"name": way.name, "images": way.alone, **mib}


def distance(graph: Graph, network: Instrumented, images: Bytes) -> dict[str, Any]:
    """Achieved and possible speed of one core, as a whole and layer by layer.

    Args:
        graph: CNV.
        network: the same, compiled; what is measured.
        images: uint8 ``(images, height, width, channels)``, of which the first are computed.
    """
    x, hertz, possible = images[:2048], limit.clock_hz(), 0.0
    network.run(x, 1)  # compiles what is compiled
    wholes, profiles = [], []
    # In turn, so that a machine that is busy for a while is so for all that is compared.
    for _ in range(TURNS):
        possible = max(possible, limit.macs_per_second() / limit.WORD)
        begin = time.process_time()
        profiles.append(network.profile(x))
        wholes.append(time.process_time() - begin)
    seconds = min(wholes) / len(x)
    spent = {name: min(p[name] for p in profiles) / len(x) for name in profiles[0]}
    layers = [_layer(node, graph, spent, possible) for node in _weighted(graph)]
    bits = [layer for layer in layers if layer["bits"]]
    binary_words, binary = (sum(layer[key] for layer in bits) for key in ("words", "seconds"))
    every = sum(layer["words"] for layer in layers)
    return {
        "clock_ghz": round(hertz / 1e9, 2),
        "words_per_second": round(possible),
        "words_per_cycle": round(possible / hertz, 1),
        "words_an_image": every,
        "images_per_second_at_the_limit": round(possible / every),
        "images_per_second": round(1 / seconds),
        "of_limit": round(every / possible / seconds, 3),
        "layers": layers,
        "of_limit_in_layers_of_bits": round(binary_words / possible / binary, 3),
        "seconds_of_all_else": sum(spent.values()) - sum(layer["seconds"] for layer in layers),
    }


def _weighted(graph: Graph) -> Iterator[Conv2d | Dot]:
    yield from (node for node in graph.nodes if isinstance(node, Conv2d | Dot))


def _layer(
    node: Conv2d | Dot, graph: Graph, spent: dict[str, float], possible: float
) -> dict[str, Any]:
    """Work and time of a layer, with its thresholds, for an image."""
    (reader,) = graph.readers(node.name)
    seconds = spent[node.name if node.name in spent else reader.name]
    count = words(graph)[node.name]
    return {
        "name": node.name,
        "bits": graph.types[node.source].bit,
        "macs": macs(graph)[node.name],
        "words": count,
        "seconds": seconds,
        "of_limit": round(count / possible / seconds, 3),
    }


def _table(found: dict[str, Any]) -> str:
    """The results for people, in Markdown."""
    bound, compared = found["limit"], found["compared"]
    lines = [
        *harness.heading(found),
        "",
        f"Fast and plain simulator gave the same {compared['codes']:,} codes of all nodes for "
        f"{compared['images']} images; all ways gave the same classes or sums in every turn.",
        "",
        *harness.ways(found["images_per_second"]),
        "",
        *_limit_lines(bound),
        "",
        "Memory of each way in a process of its own, MiB: before the first image (program, "
        "libraries, network, images), and the most.",
        "",
        "| way | images | before | most | for computing |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {m['name']} | {m['images']:,} | {m['ready']:,} | {m['peak']:,} | "
        f"{m['peak'] - m['ready']:,} |"
        for m in found["memory"]
    ]
    return "\n".join(lines) + "\n"


def _limit_lines(bound: dict[str, Any]) -> Iterator[str]:
    """Where the fast simulator stands, and where its time goes."""
    yield (
        "Limit of one core by XOR, popcount and addition in registers: "
        f"{bound['words_per_second'] / 1e9:.1f} billion words of 64 bits a second, "
        f"{bound['words_per_cycle']} a cycle at {bound['clock_ghz']} GHz (time on the core, not on "
        f"the wall). An image is {bound['words_an_image']:,} words, the first layer's pixels as 8 "
        f"planes of bits: {bound['images_per_second_at_the_limit']:,} images a second. The fast "
        f"simulator reaches {bound['images_per_second']:,} on one thread, {bound['of_limit']:.0%} "
        f"of that, and {bound['of_limit_in_layers_of_bits']:.0%} in the layers of bits. It adds "
        "the first layer's pixels in 16 bits instead, and may be quicker there than the limit."
    )
    yield ""
    yield "| layer, with its thresholds | MAC an image | words | µs an image | of the limit |"
    yield "|---|---:|---:|---:|---:|"
    for layer in bound["layers"]:
        yield (
            f"| {layer['name']} | {layer['macs']:,} | {layer['words']:,} | "
            f"{1e6 * layer['seconds']:.2f} | {layer['of_limit']:.0%} |"
        )
    rest = 1e6 * bound["seconds_of_all_else"]
    yield f"| pools, transposition, largest sum | | | {rest:.2f} | |"


if __name__ == "__main__":
    main()
