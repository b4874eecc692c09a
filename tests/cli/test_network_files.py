"""Networks' files on the command line: recognised by content, lowered, compared, refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hwbnn.cli.network_files import parsed_input
from hwbnn.errors import InputError
from hwbnn.graph import Graph, Input, load
from hwbnn.simulators import simulate
from tests.cli.conftest import Call, refused
from tests.readers.onnx.writer import Model, small_dense

FILES = Path(__file__).parent.parent / "readers/onnx/files"


def finn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, classes and scores; the file is in the folder, under a name that says nothing."""
    shutil.copy(FILES / "ours_finn_dense.onnx", "network")
    found = np.load(FILES / "ours_finn_dense_ref.npz")
    return found["x"], found["y"], found["scores"]


def test_a_file_is_lowered_and_compared_with_its_framework(call: Call) -> None:
    x, y, scores = finn()
    np.save("x.npy", x)
    np.save("scores.npy", scores)
    np.save("y.npy", y)
    given = ("--samples", "x.npy", "--outputs", "scores.npy", "--labels", "y.npy")
    done = call("lower", "network", *given, "--out", "g.npz", "--json")
    assert done.exit_code == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["frames"], facts["differing"], facts["accuracy"]) == (400, 0, 1.0)
    assert np.array_equal(simulate(load("g.npz"), x).ravel(), y)
    told = call("lower", "network", *given, "--out", "g.npz").stdout
    assert "lowered network (FINN-ONNX) exactly, 72 thresholds certified" in told

    scores[3] = -scores[3]
    np.save("scores.npy", scores)
    wrong = call("lower", "network", *given, "--out", "g.npz")
    assert wrong.exit_code == 1
    assert "1 of 400 unlike the framework's class" in wrong.stdout


def test_ties_of_the_framework_s_logits_may_go_either_way(call: Call) -> None:
    x, _, scores = finn()
    np.save("x.npy", x)
    np.save("o.npy", np.zeros_like(scores))
    done = call("lower", "network", "--samples", "x.npy", "--outputs", "o.npy")
    assert done.exit_code == 0, done.stderr


def test_explain_says_bits_scales_and_near_pairs_or_where_it_stops(call: Call) -> None:
    finn()
    told = call("explain", "network")
    assert told.exit_code == 0
    assert "a -> threshold_2: thresholds: 16 rising; 3 thresholds a channel" in told.stdout
    assert "weights -7 to 7 (4 bits)" in told.stdout
    model = Model((1, 4))
    model.quant("x", 1.0, 18)
    Path("bad").write_bytes(model.bytes())
    stopped = call("explain", "bad", "--input", "pixels")
    assert stopped.exit_code == 2
    assert "expected 1 to 16 bits, found 18" in stopped.stdout + stopped.stderr


def test_what_arrives_has_to_be_said_where_the_file_does_not(call: Call) -> None:
    Path("net.onnx").write_bytes(small_dense())
    assert "give --input for shape 6: bits, pixels" in refused(call("lower", "net.onnx"))
    assert call("lower", "net.onnx", "--input", "-8..7*1/8").exit_code == 0
    assert load("graph.npz").input.scale == 0.125
    np.save("x.npy", np.arange(-8, 4).reshape(2, 6))
    assert "give --input" in refused(call("predict", "net.onnx", "x.npy"))
    assert "expected bits, pixels, or integers" in refused(
        call("lower", "net.onnx", "--input", "a..b")
    )


def test_commands_for_graphs_take_files_that_say_what_arrives(call: Call) -> None:
    x, y, _ = finn()
    np.save("x.npy", x[:5])
    done = call("predict", "network", "x.npy", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["classes"] == y[:5].tolist()


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "x.npy"),
        ("simulate", "x.npy"),
        ("generate", "--table"),
        ("export", "--out", "again.onnx"),
        ("verify", "x.npy", "--backends", "fast"),
    ],
)
def test_commands_for_graphs_are_told_what_arrives(call: Call, command: tuple[str, ...]) -> None:
    Path("net.onnx").write_bytes(small_dense())
    np.save("x.npy", np.arange(-8, 4).reshape(2, 6))
    name, *more = command
    done = call(name, "net.onnx", *more, "--input", "-8..7*1/8")
    assert done.exit_code == 0, done.stderr
    said = refused(call(name, "sfc", *more, "--input", "bits"))
    assert "sfc: --input and --weights belong to a network's file of another framework" in said


def test_options_of_files_are_refused_for_a_project(call: Call) -> None:
    Path("net.onnx").write_bytes(small_dense())
    given = ("--input", "-8..7*1/8")
    assert call("generate", "net.onnx", *given, "--out", "core").exit_code == 0
    for option, value in (("--weights", "net.onnx"), ("--input", "bits")):
        said = refused(call("verify", "core", "--backends", "fast", option, value))
        assert "core: --input and --weights belong to a network's file" in said


def test_build_is_given_the_graph_of_a_file(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, _ = finn()
    np.save("x.npy", x[:10])
    np.save("y.npy", y[:10])

    def build(network: object, input: object, data: object, out: Path, **more: object) -> None:
        assert isinstance(network, Graph)
        assert (network.notes["model"], input, more["name"]) == ("FINN-ONNX", None, "network")
        raise InputError("reached")

    monkeypatch.setattr("hwbnn.flow.build", build)
    given = ("--samples", "x.npy", "--labels", "y.npy", "--out", "core")
    assert "reached" in refused(call("build", "network", *given))


def test_a_graph_is_exported_and_read_again(call: Call) -> None:
    done = call("export", "sfc", "--out", "sfc.onnx", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["bytes"] == Path("sfc.onnx").stat().st_size
    again = call("lower", "sfc.onnx", "--out", "again.npz")
    assert again.exit_code == 0, again.stderr
    assert "expected a name ending in .onnx" in refused(call("export", "sfc", "--out", "x.txt"))


def test_options_of_files_are_refused_for_models_and_the_other_way_round(call: Call) -> None:
    finn()
    assert "belong to a network's file" in refused(call("lower", "digits", "--input", "bits"))
    assert "lowered exactly, or refused" in refused(
        call("measure", "network", "--samples", "x.npy", "--labels", "y.npy")
    )
    Path("text.txt").write_text("hello")
    assert "or a network's file: BNN-PYNQ folder" in refused(call("lower", "text.txt"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bits", Input.bits(3)),
        ("pixels", Input.pixels(3)),
        ("0..255*2/255-1", Input("x", (3,), 0, 255, scale=2 / 255, offset=-1.0)),
        ("-128..127 * 0.0078125", Input("x", (3,), -128, 127, scale=1 / 128)),
        ("0..16*1/16+1e-3", Input("x", (3,), 0, 16, scale=1 / 16, offset=1e-3)),
    ],
)
def test_inputs_are_read_as_they_are_written(text: str, wanted: Input) -> None:
    found = parsed_input(text, (3,))
    assert found is not None
    fields = ("shape", "low", "high", "bit", "scale", "offset")
    assert [getattr(found, f) for f in fields] == [getattr(wanted, f) for f in fields]


@pytest.mark.parametrize("text", ["0..", "0..255*", "0..255*1/0", "255", "0..9**2", "__import__"])
def test_inputs_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--input"):
        parsed_input(text, (3,))
