"""Small networks for the tests of the HLS target."""

from __future__ import annotations

import numpy as np

from hwbnn.graph import (
    Add,
    ArgMax,
    ChannelPad,
    Concat,
    Conv2d,
    Dot,
    Encode,
    Flatten,
    Graph,
    Input,
    Lookup,
    MaxPool,
    Output,
    Rescale,
    Select,
    SumPool,
    Threshold,
    ValueType,
    Window,
    infer,
)


def scaled(seed: int = 3) -> Graph:
    """Dots with scale and offset over integers and bits, before thresholds and before the end."""
    rng = np.random.default_rng(seed)

    def factors(channels: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full(channels, 16), rng.integers(-9, 10, channels)

    weights = [rng.random(shape) < 0.5 for shape in ((12, 15), (10, 12), (6, 10))]
    cuts = [rng.integers(-99, 100, (channels, 1)) for channels in (12, 10)]
    return Graph(
        (
            Input("x", (15,), -3, 12),
            Dot("sums", "x", weights[0], *factors(12)),
            Threshold("bits", "sums", cuts[0], rng.random(12) < 0.5),
            Dot("hidden", "bits", weights[1], *factors(10)),
            Threshold("fires", "hidden", cuts[1], rng.random(10) < 0.5),
            Dot("scores", "fires", weights[2], rng.integers(-9, 10, 6), rng.integers(-9, 10, 6)),
            Output("y", "scores"),
        )
    )


def every_node(seed: int = 5, width: int = 70) -> Graph:
    """All kinds of nodes in one chain: a Dot over integers and one over bits, each before a
    Threshold; several thresholds; both directions. From seed 5 no bit of it is constant."""
    rng = np.random.default_rng(seed)
    pixels = Input("x", (5, 3), -3, 12)
    levels = Threshold(
        "levels", "x", np.sort(rng.integers(-3, 13, (3, 2))), np.array([0, 1, 0]) > 0
    )
    flat = Flatten("flat", "levels")
    sums = Dot("sums", "flat", rng.random((9, 15)) < 0.5)
    steps = Threshold("steps", "sums", np.sort(rng.integers(-5, 6, (9, 3))), rng.random(9) < 0.5)
    bits = Encode("bits", "steps", rng.integers(1, 4, (9, 8)))
    chosen = Select("chosen", "bits", rng.permutation(72)[:width])
    hidden = Dot("hidden", "chosen", rng.random((11, width)) < 0.5)
    fires = Threshold("fires", "hidden", rng.integers(-9, 10, (11, 1)), rng.random(11) < 0.5)
    scores = Dot("scores", "fires", rng.random((6, 11)) < 0.5)
    t: ValueType = infer(scores, infer(fires, infer(hidden, ValueType((width,), 0, 1, bit=True))))
    ranks = Lookup("ranks", "scores", rng.integers(-2, 3, (6, t.count)))
    nodes = (pixels, levels, flat, sums, steps, bits, chosen, hidden, fires, scores, ranks)
    return Graph((*nodes, ArgMax("best", "ranks"), Output("y", "best")))


def images(seed: int = 3) -> Graph:
    """All kinds of nodes of images: a shortcut past two convolutions, pools, a dense layer."""
    rng = np.random.default_rng(seed)

    def kernels(*shape: int) -> np.ndarray:
        return rng.random(shape) < 0.5

    def cuts(spread: int, *shape: int) -> np.ndarray:
        return rng.integers(-spread, spread + 1, shape)

    around = (1, 1, 1, 1)
    border = Window((6, 6), (3, 3), padding=around)
    shifts, ones = np.array([2, 1, 0, 3]), np.ones(5, np.int64)
    biases = rng.integers(-9, 10, (len(border.classes), 4))
    slopes = rng.integers(-9, 10, (2, 4))
    nodes = (
        Input("x", (6, 6, 3), -3, 12),
        Conv2d("stem", "x", kernels(4, 3, 3, 3), padding=around),
        Rescale(
            "stream", "stem", slopes[0], biases, shifts, -90, 80, slopes[1], border.border_classes
        ),
        Threshold(
            "bits",
            "stream",
            cuts(9, len(border.classes), 4, 1),
            ones[:4] < 0,
            border.border_classes,
        ),
        Conv2d("sums", "bits", kernels(6, 3, 3, 4), padding=around),
        Threshold("fires", "sums", cuts(6, 6, 1), rng.random(6) < 0.5),
        Conv2d("branch", "fires", kernels(4, 3, 3, 3), (2, 2), (1, 0, 0, 1), 1, 2),
        MaxPool("every", "stream", (1, 1), (2, 2)),
        Add("joined", "every", "branch"),
        ChannelPad("wider", "joined", 1, 0),
        Threshold("more", "wider", cuts(20, 5, 1), rng.random(5) < 0.5),
        Conv2d("one", "more", kernels(1, 1, 1, 5), scale=ones[:1] * 3, offset=-ones[:1]),
        Add("both", "one", "wider"),
        Threshold("many", "both", cuts(20, 5, 1), rng.random(5) < 0.5),
        MaxPool("pooled", "many", (2, 2), (1, 1), (1, 0, 0, 0), np.array([1, 0, 1, 0, 0]) > 0),
        Conv2d(
            "scaled", "pooled", kernels(5, 2, 2, 5), (1, 1), (0, 1, 1, 0), -1, 1, ones, 2 * ones
        ),
        Threshold("last", "scaled", cuts(6, 5, 1), rng.random(5) < 0.5),
        Concat("beside", "last", "pooled"),
        SumPool("mean", "beside", (2, 2), (1, 1), (0, 1, 0, 1)),
        Flatten("flat", "mean"),
        Dot("scores", "flat", kernels(7, 60)),
        ArgMax("best", "scores"),
        Output("y", "best"),
    )
    return Graph(nodes)


def integer_weights(seed: int = 1) -> Graph:
    """Dots with integer and ternary weights over signed and unsigned integers and over bits.

    Rows of zeros, one weight of 16 bits, thresholds with a base; the Dot over 70 bits has rows of
    two words.
    """
    rng = np.random.default_rng(seed)

    def weights(most: int, *shape: int) -> np.ndarray:
        drawn = rng.integers(-most, most + 1, shape)
        drawn[shape[0] // 2] = 0
        return drawn

    large = weights(120, 12, 20)
    large[0, 0] = -32767
    nodes = (
        Input("x", (15,), -3, 12),
        Dot("signed", "x", weights(7, 9, 15)),
        _steps(rng, "levels", "signed", 9, 5, 60, -2),
        Dot("signs", "levels", weights(1, 70, 9)),
        _steps(rng, "bits", "signs", 70, 1, 4),
        Dot("wide", "bits", weights(1, 20, 70)),
        _steps(rng, "fires", "wide", 20, 1, 6),
        Dot("heavy", "fires", large),
        _steps(rng, "heavier", "heavy", 12, 1, 300),
        Dot("short", "heavier", weights(1, 10, 12)),
        _steps(rng, "codes", "short", 10, 1, 3, 0),
        Dot("unsigned", "codes", weights(20, 6, 10)),
        _steps(rng, "last", "unsigned", 6, 1, 20),
        Dot("scores", "last", weights(5, 5, 6)),
        ArgMax("best", "scores"),
        Output("y", "best"),
    )
    return Graph(nodes)


def integer_images(seed: int = 3) -> Graph:
    """Convolutions with integer and ternary weights: paddings, groups, steps, border classes."""
    rng = np.random.default_rng(seed)
    around = (1, 1, 1, 1)
    border = Window((5, 5), (3, 3), padding=around)

    def weights(most: int, *shape: int) -> np.ndarray:
        return rng.integers(-most, most + 1, shape)

    nodes = (
        Input("x", (5, 5, 3), -3, 12),
        Conv2d("stem", "x", weights(7, 4, 3, 3, 3), padding=around),
        Threshold(
            "levels",
            "stem",
            np.sort(rng.integers(-60, 61, (len(border.classes), 4, 5))),
            rng.random(4) < 0.5,
            border.border_classes,
            -2,
        ),
        Conv2d("signs", "levels", weights(1, 6, 3, 3, 4), padding=around),
        _steps(rng, "bits", "signs", 6, 1, 6),
        Conv2d("masked", "bits", weights(9, 4, 3, 3, 3), padding=around, groups=2),
        _steps(rng, "inner", "masked", 4, 1, 20),
        Conv2d("zeros", "inner", weights(1, 5, 3, 3, 4), padding=around),
        _steps(rng, "fires", "zeros", 5, 1, 3),
        Conv2d("strided", "fires", weights(30, 4, 3, 3, 5), (2, 2), around, 1),
        _steps(rng, "more", "strided", 4, 1, 100),
        Conv2d("ternary", "more", weights(1, 6, 2, 2, 2), (1, 1), (1, 0, 0, 0), -1, 2),
        _steps(rng, "steps", "ternary", 6, 3, 3, -1),
        Conv2d("depthwise", "steps", weights(100, 6, 1, 1, 1), groups=6),
        _steps(rng, "last", "depthwise", 6, 1, 50),
        Flatten("flat", "last"),
        Dot("scores", "flat", weights(5, 5, 36)),
        ArgMax("best", "scores"),
        Output("y", "best"),
    )
    return Graph(nodes)


def _steps(
    rng: np.random.Generator,
    name: str,
    source: str,
    channels: int,
    count: int,
    spread: int,
    base: int | None = None,
) -> Threshold:
    """A Threshold with random thresholds up to a magnitude, half of its channels falling."""
    cuts = np.sort(rng.integers(-spread, spread + 1, (channels, count)))
    return Threshold(name, source, cuts, rng.random(channels) < 0.5, base=base)
