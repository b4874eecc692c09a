"""Mistakes of newcomers in calls: each is answered in one clear line that names the remedy."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import hwbnn
import hwbnn.devices
import hwbnn.estimate
import hwbnn.plan
from hwbnn import Folded, Graph, Input, Plan, Project, Unrolled, methods, training
from hwbnn.arguments import checked_call, checked_class
from hwbnn.errors import ArgumentError, HwbnnError, InputError
from hwbnn.graph import Dot, Output, Threshold
from hwbnn.lowering import compare
from hwbnn.nn import (
    BinaryActivation,
    BinaryConv2d,
    BinaryLinear,
    QuantLinear,
    Scale,
    Select,
    Thermometer,
    after_step,
    mlp,
    network,
    parameter_groups,
    penalty,
    start_epoch,
)
from hwbnn.training import Dataset, Recipe

M = "bnn_ste"
I = Input("x", (20,), 0, 16, scale=1 / 16)  # noqa: E741
X = np.random.default_rng(0).integers(0, 17, (30, 20))
Y = np.zeros(30, np.int64)
FLOATS = torch.zeros(2, 20)


def model() -> nn.Sequential:
    torch.manual_seed(0)
    front = BinaryLinear(20, 8, M, source=I), nn.BatchNorm1d(8), BinaryActivation(8, M)
    return nn.Sequential(*front, BinaryLinear(8, 3, M), nn.BatchNorm1d(3)).eval()


GOOD = model()
G = hwbnn.lower(GOOD, I)
RTL = hwbnn.generate(G, "rtl")
A: Any = hwbnn
"""The package without its types, so that wrong calls can be written."""


def changed(change: Callable[[Any], Any]) -> Any:
    """The lowering of a model that was changed."""
    net = model()
    change(net)
    return hwbnn.lower(net, I)


def pruned(of: Callable[[Any], nn.Module], name: str) -> Any:
    return changed(lambda net: prune.random_unstructured(of(net), name, amount=0.5))


def real(*layers: nn.Module) -> Any:
    return hwbnn.lower(
        nn.Sequential(*layers, BinaryActivation(8, M), BinaryLinear(8, 3, M)).eval(), I
    )


def quantized(kind: str) -> Any:
    """A model that torch's own quantization has changed."""
    from torch.ao import quantization

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is going
        net: nn.Module = nn.Sequential(nn.Linear(20, 8), nn.ReLU())
        if kind == "dynamic":
            return hwbnn.lower(quantization.quantize_dynamic(net, {nn.Linear}), I)
        net = nn.Sequential(quantization.QuantStub(), net, quantization.DeQuantStub()).eval()
        net.qconfig = quantization.get_default_qconfig("fbgemm")  # type: ignore[assignment]
        net = quantization.prepare(net)
        net(FLOATS)
        return hwbnn.lower(quantization.convert(net) if kind == "static" else net, I)


def exported() -> Any:
    return torch.export.export(model(), (FLOATS,))


def scripted() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is going
        return torch.jit.script(nn.Sequential(nn.Linear(20, 3)))


def data(**other: Any) -> Dataset:
    images, labels = np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, np.uint8)
    given: dict[str, Any] = {"name": "d", "classes": ("a", "b")}
    given |= {f"{part}_images": images for part in ("train", "test")}
    given |= {f"{part}_labels": labels for part in ("train", "test")}
    return Dataset(**{**given, **other})


def recipe(**other: Any) -> Recipe:
    given: dict[str, Any] = {"network": "digits", "data": "digits", "epochs": 1, "input": "pixels"}
    return Recipe(**{**given, **other})


class TwoInputs(nn.Module):
    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return x + z


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> None:
        return None


UNKNOWN: dict[str, tuple[Callable[[], Any], str]] = {
    "Plan, an earlier name": (lambda: A.Plan(dots={}), "'dots' is now 'layers'; it has layers, "),
    "Plan, another": (lambda: A.Plan(levels=2), "is now 'logic_levels_per_register'"),
    "Plan, one by typing": (lambda: A.Plan(clock=5), "no argument 'clock'; it has clock_ns, "),
    "Folded, nothing": (lambda: A.Folded(), "Folded: expected pe, simd, found nothing"),
    "Folded, too many": (lambda: A.Folded(1, 2, "bit_planes", None, 5), "at most 4 arguments"),
    "Folded, an earlier name": (lambda: A.Unrolled(made="xc7"), "'made' is now 'form'"),
    "verify, an earlier name": (
        lambda: A.verify(G, X, ways=("fast",)),
        "verify: no argument 'ways'; 'ways' is now 'backends'; it has backends, ",
    ),
    "verify, no samples": (lambda: A.verify(G), "verify: expected x, found nothing; it has what"),
    "verify, in order": (lambda: A.verify(G, X, Plan()), "give the others by name: plan=, "),
    "generate, no target": (lambda: A.generate(G), "generate: expected target, found nothing"),
    "generate, an option": (
        lambda: A.generate(G, "rtl", nam="a"),
        "no argument 'nam'; it has name",
    ),
    "generate, of another": (lambda: A.generate(G, "rtl", io="io_stream"), "generate rtl: no arg"),
    "generate, twice": (lambda: A.generate(G, "rtl", Plan(), plan=Plan()), "'plan' is given twice"),
    "lower, nothing": (lambda: A.lower(), "lower: expected model, found nothing; it has model, in"),
    "lower, a name": (lambda: A.lower(GOOD, inputs=I), "no argument 'inputs'; it has input, "),
    "explain, a name": (lambda: A.explain(GOOD, I, weightbits=8), "it has weight_bits, "),
    "compare, nothing": (lambda: A.lowering.compare(GOOD), "compare: expected graph, x, found"),
    "build, no data": (lambda: A.build(GOOD, I), "build: expected data, folder, found nothing"),
    "build, a plan in order": (
        lambda: A.build(GOOD, I, X, "b", Plan()),
        "build: expected at most 4 arguments in order: model, input, data, folder; found 5",
    ),
    "simulate, no samples": (lambda: A.simulate(G), "simulate: expected x, found nothing"),
    "train, a setting": (lambda: A.train(recipe(), "o", epochs=3), "train: no argument 'epochs'"),
    "Input, nothing": (lambda: A.Input(), "Input: expected name, shape, low, high, found nothing"),
    "Input, a name": (lambda: A.Input("x", (2,), 0, 1, range=3), "no argument 'range'; it has "),
    "Graph, nothing": (lambda: A.Graph(), "Graph: expected nodes, found nothing"),
    "Project, nothing": (lambda: A.Project(), "Project: expected target, files, found nothing"),
    "a node": (lambda: A.graph.Dot("d", "x"), "Dot: expected weights, found nothing"),
    "a method's name": (lambda: A.methods.get(), "methods.get: expected name, found nothing"),
    "a hyper-parameter": (lambda: methods.get(M, foo=1), "no hyper-parameter 'foo'; it has gl"),
    "a layer, nothing": (lambda: A.nn.BinaryLinear(), "BinaryLinear: expected in_features, out"),
    "a layer, a name": (lambda: A.nn.BinaryLinear(8, 3, M, sourc=I), "'sourc'; it has source, "),
    "a layer, of torch": (
        lambda: A.nn.BinaryConv2d(1, 3, kernel_size=3, method=M),
        "BinaryConv2d: no argument 'kernel_size'; it has kernel, ",
    ),
    "a quantised layer": (lambda: A.nn.QuantLinear(4, 3, bits=8), "QuantLinear: no argument 'b"),
    "a recipe, nothing": (lambda: Recipe(), "Recipe: expected network, data, epochs, found"),  # type: ignore[call-arg]
    "a recipe, a name": (lambda: recipe(netwrk="sfc"), "'netwrk'; it has network, "),
    "an attribute": (lambda: A.simulat, "hwbnn' has no attribute 'simulat'; it has simulate, "),
    "a method": (
        lambda: A.methods.bnn_st,
        "'hwbnn.methods' has no attribute 'bnn_st'; it has bnn_s",
    ),
    "a layer": (lambda: A.nn.BinaryLinar, "no attribute 'BinaryLinar'; it has BinaryLinear, "),
    "a goal, a name": (lambda: A.estimate.Goal(luts=9), "'luts' is now 'lut'; it has lut, "),
    "a Plan, no goal": (lambda: A.estimate.plan_for(G), "plan_for: expected goal, found nothing"),
    "a circuit, no Plan": (lambda: A.plan.circuit(G), "circuit: expected plan, found nothing"),
    "a part, nothing": (lambda: A.devices.read_part(), "read_part: expected name, found nothing"),
    "predict, a model alone": (lambda: A.training.predict(GOOD), "expected source, u, found not"),
    "a data set, a name": (lambda: A.training.dataset("mnist", dir="a"), "'dir'; it has name, fol"),
}
"""Arguments that do not exist, are missing or too many."""

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    # of a wrong type
    "layers in a list": (lambda: A.Plan(["a"]), "layers: expected a dict by the names"),
    "layers in a text": (lambda: A.Plan("rtl"), "layers: expected a dict"),
    "layers by numbers": (lambda: A.Plan({1: Folded(1, 2)}), "expected names of nodes, found 1"),
    "depths in a list": (lambda: A.Plan(depths=[1]), "depths: expected a dict"),
    "no lanes": (lambda: A.Plan(lanes=None), "lanes: expected a dict"),
    "tokens in a text": (lambda: A.Plan(buffer_tokens="a"), "buffer_tokens: expected a dict"),
    "a layout in a dict": (lambda: A.Plan({"d": {"pe": 1}}), "expected Unrolled or Folded"),
    "a layout's class": (lambda: A.Plan(default=Unrolled), "expected Unrolled or Folded"),
    "a clock in a text": (lambda: A.Plan(clock_ns="5"), "clock_ns: expected 0.1 to 1000"),
    "JSON in a dict": (lambda: A.Plan.from_json({}), "expected a JSON text, found {}"),
    "backends by a number": (lambda: A.verify(G, X, backends=3), "backends: expected names of"),
    "a backend by a number": (lambda: A.verify(G, X, backends=[3]), "backend 3: expected some of"),
    "frames in a text": (lambda: A.verify(G, X, rtl_frames="3"), "expected an integer or None"),
    "a seed in a text": (lambda: A.verify(G, X, seed="a"), "seed: expected an integer, found 'a'"),
    "a batch of a half": (lambda: A.verify(G, X, batch=0.5), "batch: expected an integer or None"),
    "a reference's values": (lambda: A.verify(G, X, reference=Y), "a function or None, found nd"),
    "progress by True": (lambda: A.verify(G, X, progress=True), "a function or None, found True"),
    "a Plan's file": (lambda: A.verify(G, X, plan="p.json"), "Plan.from_json(text) makes one"),
    "a model to verify": (lambda: A.verify(GOOD, X), "hwbnn.lower(model, input) makes one"),
    "a Graph's file": (lambda: A.simulate("g.npz", X), "hwbnn.load reads one from a file"),
    "a target in a list": (lambda: A.generate(G, ["rtl"]), "target: expected a text, found list"),
    "a name by a number": (lambda: A.generate(G, "rtl", name=3), "name: expected a text, found 3"),
    "a trace by a name": (lambda: A.simulate(G, X, trace="t"), "trace: expected True or False"),
    "a device for an input": (lambda: A.lower(GOOD, FLOATS), "expected hwbnn.Input, what the mod"),
    "a tolerance in a text": (lambda: A.build(GOOD, I, X, "b", tolerance="a"), "expected a number"),
    "a title by a number": (lambda: A.build(GOOD, I, X, "b", name=3), "name: expected a text, f"),
    "a build's progress": (lambda: A.build(GOOD, I, X, "b", progress=True), "step() and detail()"),
    "a build's Plan": (lambda: A.build(GOOD, I, X, "b", plan="p"), "Plan.from_json(text)"),
    "files in a list": (
        lambda: A.Project("rtl", []),
        "expected a dict of bytes by name, found list",
    ),
    "files of text": (lambda: A.Project("rtl", {"a": "b"}), "'a': expected bytes, found str"),
    "a recipe in a dict": (lambda: A.train({"epochs": 1}, "o"), "Recipe.read(path) makes one"),
    "a recipe's name": (lambda: A.train("digits", "o"), "Recipe.read(path) makes one of a file"),
    "data in an array": (lambda: A.train(recipe(), "o", data=X), "Dataset(...) makes one of arr"),
    "threads in a text": (lambda: A.train(recipe(), "o", threads="1"), "expected an integer, f"),
    "precision by a number": (lambda: A.train(recipe(), "o", precision=16), "expected a text"),
    "TOML by a number": (lambda: A.training.Recipe.from_toml(3), "text: expected a text, found 3"),
    "images in a list": (lambda: data(train_images=[[1]]), "expected arrays of dtype uint8, found"),
    "a goal by a number": (
        lambda: A.estimate.plan_for(G, 100),
        "plan_for: goal: expected a Goal, found 100; hwbnn.estimate.Goal(interval=100) is one",
    ),
    "a Graph's file for a goal": (
        lambda: A.estimate.plan_for_luts("g.npz", 100),
        "plan_for_luts: graph: expected a Graph, found 'g.npz'; hwbnn.lower makes one of a model",
    ),
    "a Plan's file for a goal": (
        lambda: A.estimate.plan_for_ii(G, 100, "p.json"),
        "base: expected a Plan or None, found 'p.json'; hwbnn.Plan(",
    ),
    "an interval of a half": (lambda: A.estimate.plan_for_ii(G, 2.5), "expected an integer, found"),
    "a Graph for a circuit": (
        lambda: A.estimate.area(G),
        "area: circuit: expected a Circuit, found Graph; hwbnn.plan.circuit(graph, plan) makes",
    ),
    "a Plan for a layout": (
        lambda: A.plan.circuit(G, Folded(1, 1)),
        "plan: expected a Plan, found",
    ),
    "a clock of nothing": (lambda: A.estimate.clock_period(0), "mhz: expected a positive number"),
    "a part by a number": (lambda: A.devices.read_part(7), "read_part: name: expected a text"),
    "runs in a text": (lambda: A.training.compare_runs("a", "b"), "expected a list of folders of"),
    "an input's name for predictions": (
        lambda: A.training.predict(GOOD, "x", X),
        "source: expected an Input, found 'x'; hwbnn.Input(",
    ),
    "floats for predictions": (lambda: A.training.predict(GOOD, I, X / 16), "u = (x - 0) / 0.0625"),
    "predictions of nothing": (lambda: training.predict(GOOD, I, X[:0]), "at least one sample"),  # type: ignore[arg-type]
    "predictions of one": (lambda: training.predict(GOOD, I, X[0]), "found shape (1,)"),  # type: ignore[arg-type]
    "threads by a text": (lambda: A.training.torch_threads("2"), "count: expected an integer"),
    "a Graph's logits": (lambda: A.training.logits(G, I, X), "hwbnn.simulate computes a Graph"),
    "parameters for a model": (
        lambda: parameter_groups(GOOD.parameters(), 0.1),  # type: ignore[arg-type]
        "hooks take the model itself, not its parameters or its optimiser",
    ),
    "an optimiser for a model": (
        lambda: after_step(torch.optim.Adam(model().parameters())),  # type: ignore[arg-type]
        "expected the model, a torch module, found Adam",
    ),
    "a list for a model": (lambda: penalty([1]), "expected the model, a torch module, found list"),  # type: ignore[arg-type]
    "a rate in a text": (lambda: A.nn.parameter_groups(GOOD, "a"), "lr: expected a number, found"),
    "an epoch in a text": (lambda: A.nn.start_epoch(GOOD, "a"), "u: expected a number, found 'a'"),
    "widths by a number": (lambda: A.nn.mlp(I, 8, 3, M), "widths: expected the channels of each"),
    "an input's name": (lambda: A.nn.mlp("x", (8,), 3, M), "source: expected hwbnn.Input, what th"),
    "a factor in a text": (
        lambda: A.nn.Scale("a"),
        "initial: expected a finite number, found 'a",
    ),
    "a source's shape": (
        lambda: A.nn.BinaryLinear(20, 3, M, source=(20,)),
        "or the BinaryActivation",
    ),
    "a parameter for a weight": (
        lambda: setattr(model()[0], "weight", nn.Parameter(FLOATS)),
        "BinaryLinear: weight: is the part of the method that makes the signs",
    ),
    # of a wrong shape
    "rows of two lengths": (lambda: hwbnn.simulate(G, [[1, 2], [3]]), "samples have one shape"),
    "a pair in a list": (lambda: A.build(GOOD, I, [X, Y], "b"), "samples and labels is a tuple"),
    "one sample": (lambda: hwbnn.simulate(G, X[0]), "shape (batch, 20), found shape (20,)"),
    "labels of fewer": (lambda: training.accuracy(GOOD, I, X, Y[:3]), "each of 30 images, at leas"),  # type: ignore[arg-type]
    "a reference's shape": (
        lambda: hwbnn.verify(G, X, reference=lambda _: np.zeros(3)),
        "reference: expected an array of shape (30, 1)",
    ),
    "channels of a quantile": (
        lambda: Thermometer.quantile(I, 4, X[:, :3]),
        "data: expected (samples, 20), found (30, 3)",
    ),
    "weights of one axis": (lambda: Dot("d", "x", np.ones(2, bool)), "expected a non-empty 2-D"),
    "thresholds of one axis": (
        lambda: Threshold("t", "d", np.zeros(3, int), np.zeros(3, bool)),
        "thresholds: expected a non-empty 2-D array",
    ),
    # of a wrong dtype
    "integers into a layer": (lambda: model()[0](FLOATS.long()), "found int64; give it x.float()"),
    "integers into a sign": (lambda: model()[2](torch.zeros(2, 8).int()), "of floats, found int32"),
    "doubles in training": (
        lambda: model()[0].train()(FLOATS.double()),
        "expected a tensor of float32, as the weights, found float64; give it x.to(torch.float32)",
    ),
    "halves in training": (lambda: model()[0].train()(FLOATS.half()), "as the weights, found fl"),
    "a tensor with a gradient": (
        lambda: hwbnn.simulate(G, FLOATS.clone().requires_grad_()),  # type: ignore[arg-type]
        "x.detach().cpu().numpy() makes an array of a tensor",
    ),
    "floats": (lambda: hwbnn.simulate(G, X / 16), "u = (x - 0) / 0.0625, rounded"),
    "floats, by channel": (
        lambda: hwbnn.simulate(
            Graph((Input("x", (2,), 0, 1, scale=(0.5, 0.2)), Output("y", "x"))), [[0.5, 0.2]]
        ),
        "u = (x - offset) / scale of each channel, rounded",
    ),
    "texts": (lambda: hwbnn.simulate(G, np.array([["a"] * 20])), "expected integers, found <U1"),
    "real weights": (
        lambda: Dot("d", "x", np.ones((2, 2)) / 2),
        "array of integers, found float64",
    ),
    "an image of floats": (lambda: data(train_images=np.zeros((4, 8, 8, 1))), "found float64"),
    # a wrong file or folder
    "a Graph by a number": (lambda: A.load(3), "load: expected the name of a file, found int"),
    "a Graph to a number": (lambda: A.save(G, 3), "save: path: expected a path, found 3"),
    "a network by a number": (lambda: A.read(3), "read: path: expected a path, found 3"),
    "a project by a number": (lambda: A.Project.read(3), "Project.read: folder: expected a path"),
    "a project to nowhere": (lambda: A.Project.write(RTL, None), "expected a path, found nothing"),
    "a run by a number": (lambda: A.training.load_model(3), "folder: expected a path, found 3"),
    "a build to nowhere": (lambda: A.build(GOOD, I, X, None), "folder: expected a path, found not"),
    "a run to nowhere": (lambda: A.train(recipe(), None), "folder: expected a path, found nothing"),
    "a missing Graph": (lambda: hwbnn.load("no.npz"), "no.npz: cannot read the Graph: No such"),
    "a folder for a Graph": (lambda: hwbnn.load("/tmp"), "expected a file"),
    "a missing project": (lambda: Project.read("nothing"), "'hwbnn generate' makes one"),
    "a missing run": (lambda: training.load_model("nothing"), "recipe.toml: cannot read the rec"),
    "a missing recipe": (lambda: Recipe.read("none.toml"), "cannot read the recipe: No such file"),
    # a wrong order
    "lower, swapped": (lambda: A.lower(I, GOOD), "expected a torch module, found Input"),
    "generate, swapped": (lambda: A.generate(G, Plan(), "rtl"), "target: expected a text, found P"),
    "simulate, swapped": (lambda: A.simulate(X, G), "expected a Graph, found ndarray"),
    "save, swapped": (lambda: A.save("g.npz", G), "save: path: expected a path, found Graph"),
    "network, swapped": (lambda: A.nn.network(I, "lenet", 3, M), "name: expected a text, found In"),
    "an output in front": (lambda: Graph((Output("y", "x"), I)), "begins with Input and ends with"),
    "another Input for a Graph": (
        lambda: hwbnn.build(G, Input.bits(20), X, "b"),
        "a Graph has its own, 'x', another is given",
    ),
    # names that do not exist
    "a backend": (lambda: hwbnn.verify(G, X, backends="fsat"), "'fsat': expected some of fast, "),
    "backends in one text": (
        lambda: A.build(GOOD, I, X, "b", backends="rtl,hls"),
        "backend 'rtl,hls': expected some of",
    ),
    "a target": (lambda: hwbnn.generate(G, "verilog"), "expected one of rtl, hls"),
    "an engine": (lambda: hwbnn.simulate(G, X, engine="fsat"), "expected one of fast, auto"),
    "an output": (lambda: A.lower(GOOD, I, output="clas"), "expected one of class, scores"),
    "a framing": (lambda: A.Plan(framing="pakcet"), "expected one of packet, counted, batch"),
    "a network": (lambda: network("lenett", I, 3, M), "expected one of lenet, "),
    "a data set": (lambda: training.dataset("mnits"), "expected one of mnist, "),
    "a last layer": (lambda: mlp(I, (8,), 3, M, last="bn"), "expected one of batch_norm"),
    "a waveform without RTL": (lambda: hwbnn.verify(G, X, wave="a.fst"), "wave: is recorded from"),
    # numbers out of range
    "no frames": (lambda: hwbnn.verify(G, X, rtl_frames=0), "expected at least 1 frame, found 0"),
    "a negative batch": (lambda: hwbnn.verify(G, X, batch=-1), "expected at least 1 frame"),
    "a negative seed": (
        lambda: hwbnn.verify(G, X, seed=-1),
        "expected an integer from 0, found -1",
    ),
    "a beat": (lambda: Plan(input_beat=12), "input_beat: expected a multiple of 8"),
    "no neurons at a time": (lambda: Plan(default=Folded(0, 3)), "pe: expected a positive integer"),
    "bits of fractions": (lambda: hwbnn.lower(GOOD, I, fraction=99), "an integer from 0 to 20"),
    "bits of weights": (lambda: hwbnn.lower(GOOD, I, weight_bits=1), "an integer from 2 to 16"),
    "an epoch of five": (lambda: start_epoch(GOOD, 5), "over all epochs, from 0 to 1, found 5"),
    "a tolerance of seven": (lambda: A.build(GOOD, I, X, "b", tolerance=7), "from 0 to 1, found 7"),
    "a factor without end": (lambda: Scale(float("inf")), "expected a finite number, found inf"),
    "an element too far": (lambda: Select(4, [7]), "Select"),
    "a stride of zero": (lambda: BinaryConv2d(1, 3, 3, M, stride=0), "stride: expected a number"),
    "a step of weights": (lambda: QuantLinear(4, 3, "int99"), "weights: expected 'ternary', or"),
    "until no epoch": (
        lambda: hwbnn.train(recipe(), "o", until=0),
        "until: expected 1 to 1 epochs",
    ),
    "no devices": (
        lambda: hwbnn.train(recipe(), "o", devices=-1),
        "devices: expected at least 1 or 'auto', found -1",
    ),
    "no threads": (lambda: hwbnn.train(recipe(), "o", threads=0), "threads: expected 1 to 1024"),
    # models that other tools have made or changed
    "a model's file": (lambda: A.lower("model.pt", I), "expected a torch module, found str"),
    "a program of torch.export": (
        lambda: hwbnn.lower(exported(), I),
        "found ExportedProgram; give",
    ),
    "a script of torch.jit": (lambda: hwbnn.lower(scripted(), I), "give the model that it was ma"),
    "dynamic quantization": (lambda: quantized("dynamic"), "of torch's own quantization"),
    "static quantization": (lambda: quantized("static"), "give the model as it was before"),
    "observers": (lambda: quantized("prepared"), "of torch's own quantization"),
    "pruned signs": (lambda: pruned(lambda n: n[0].weight, "latent"), "layer '0.weight' (Latent"),
    "a pruned gain": (lambda: pruned(lambda n: n[1], "weight"), "prune.remove(layer, 'weight')"),
    "a lazy layer": (lambda: real(nn.LazyLinear(8)), "layer '0' (LazyLinear): weight has no size"),
    "a damaged weight": (
        lambda: changed(lambda n: n[0].weight.latent.data.fill_(float("nan"))),
        "layer '0' (BinaryLinear): weight.latent holds NaN",
    ),
    "two inputs": (lambda: hwbnn.lower(TwoInputs(), I), "forward takes 2 inputs (x, z)"),
    "no value": (lambda: hwbnn.lower(Nothing(), I), "something else than one tensor of logits"),
    "no layers": (lambda: hwbnn.lower(nn.Sequential(), I), "the model returns its input"),
}
"""Arguments of a wrong type, shape, dtype, file, order, name or range, and models of others."""


def line_of(make: Callable[[], Any]) -> str:
    with pytest.raises((HwbnnError, AttributeError)) as caught:
        make()
    message = str(caught.value)
    assert isinstance(caught.value, HwbnnError) or "no attribute" in message
    assert message.isprintable()  # one line too
    assert len(message) < 500
    return message


@pytest.mark.parametrize("mistake", UNKNOWN)
def test_an_unknown_or_missing_argument_is_told_with_those_that_exist(mistake: str) -> None:
    make, part = UNKNOWN[mistake]
    assert part in line_of(make)


@pytest.mark.parametrize("mistake", WRONG)
def test_a_wrong_argument_is_told_in_one_line(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, part = WRONG[mistake]
    assert part in line_of(make)


def test_models_in_wrappers_lower_as_they_are() -> None:
    for wrapped in (
        nn.DataParallel(model()),
        torch.compile(model(), backend="eager"),
        torch.optim.swa_utils.AveragedModel(model()).eval(),
        model().double(),
        model().half().float(),
    ):
        assert hwbnn.lower(wrapped, I).digest == G.digest or isinstance(wrapped, nn.Sequential)


def test_a_pruned_real_layer_lowers_with_its_zeros_once_it_is_permanent() -> None:
    layer = nn.Linear(20, 8)
    prune.l1_unstructured(layer, "weight", amount=0.5)
    prune.remove(layer, "weight")
    tail = BinaryActivation(8, M), BinaryLinear(8, 3, M)
    graph = hwbnn.lower(nn.Sequential(layer, nn.BatchNorm1d(8), *tail).eval(), I)
    weights = next(iter(graph.of_type(Dot))).weights
    assert (weights == 0).sum() == 80


def test_a_model_that_calls_view_is_measured() -> None:
    """Its images have the usual order in memory, not channels last."""

    class Viewing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.dense = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(64, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.as_tensor(self.dense(self.conv(x).view(len(x), -1)))

    images = Input.pixels((4, 4, 2))
    u = np.random.default_rng(1).integers(0, 256, (5, 4, 4, 2)).astype(np.uint8)
    assert training.predict(Viewing(), images, u).shape == (5,)


def test_an_argument_error_is_a_type_error_too() -> None:
    """So that code which expects Python's own error goes on."""
    with pytest.raises(TypeError) as caught:
        A.verify(G)
    assert isinstance(caught.value, ArgumentError)


def test_every_public_function_checks_its_calls() -> None:
    """The face of the package, of its layers and of its nodes."""
    classes = {
        n: getattr(hwbnn.nn, n) for n in ("BinaryLinear", "BinaryConv1d", "BinaryActivation")
    }
    functions = [hwbnn.build, hwbnn.explain, hwbnn.generate, hwbnn.lower, hwbnn.read, hwbnn.save]
    functions += [hwbnn.simulate, hwbnn.to_qonnx, hwbnn.train, hwbnn.verify, compare]
    for package in (hwbnn.estimate, training):
        functions += [getattr(package, name) for name in package.__all__ if name[0].islower()]
    functions += [
        hwbnn.estimate.Goal,
        training.Dataset,
        hwbnn.plan.circuit,
        hwbnn.devices.read_part,
        hwbnn.devices.read_board,
    ]
    functions += [Folded, Graph, Input, Plan, Project, Unrolled, *classes.values()]
    for function in functions:
        with pytest.raises(ArgumentError, match="has"):
            function(nonsense=1)


PACKAGES = sorted(p.parent.name for p in Path(hwbnn.__file__).parent.glob("*/__init__.py"))


@pytest.mark.parametrize("name", PACKAGES)
def test_an_unknown_name_of_a_package_is_told_with_those_that_exist(name: str) -> None:
    package = importlib.import_module(f"hwbnn.{name}")
    public = getattr(package, "__all__", None)
    if public is None:  # a package whose modules are used by their names
        assert name in {"cli", "readers"}
        return
    wrong = f"{public[-1]}_"
    with pytest.raises(AttributeError, match=f"has no attribute '{wrong}'; it has {public[-1]}"):
        getattr(package, wrong)
    assert not hasattr(package, "__wrapped__")


def test_integers_of_numpy_are_integers_in_goals() -> None:
    wanted = hwbnn.estimate.Goal(interval=64, lut=9)
    assert hwbnn.estimate.Goal(interval=np.int32(64), lut=np.int64(9)) == wanted  # type: ignore[arg-type]
    assert hwbnn.estimate.plan_for_ii(G, np.int64(64)) == hwbnn.estimate.plan_for_ii(G, 64)  # type: ignore[arg-type]


def test_signatures_and_texts_are_those_of_the_functions() -> None:
    assert "backends" in inspect.signature(hwbnn.verify).parameters
    assert hwbnn.verify.__doc__ is not None
    assert list(inspect.signature(Plan).parameters)[:2] == ["layers", "default"]


def test_plain_types_are_checked_and_all_others_left_alone() -> None:
    @checked_call(who="f")
    def f(
        n: int,
        path: str | Path = "",
        rate: float = 0.5,
        on: bool = False,
        *,
        other: Graph | None = None,
    ) -> tuple[Any, ...]:
        return n, path, rate, on, other

    assert f(np.int64(3), Path("a"), 2, np.True_, other="any")[0] == 3  # type: ignore[arg-type]
    for wrong in ((True,), (3.0,), (3, 4), (3, "a", "b"), (3, "a", True), (3, "a", 1.0, 1)):
        with pytest.raises(InputError, match=r"^f: .*: expected "):
            f(*wrong)  # type: ignore[arg-type]


def test_an_error_inside_a_function_is_its_own() -> None:
    @checked_call()
    def f(n: int) -> int:
        return len(n)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="has no len") as caught:
        f(3)
    assert not isinstance(caught.value, HwbnnError)


def test_a_derived_class_has_its_own_arguments() -> None:
    @checked_class()
    class Base:
        def __init__(self, a: int) -> None:
            self.a = a

    class Derived(Base):
        def __init__(self, b: int) -> None:
            super().__init__(a=b)

    assert Derived(3).a == 3
    with pytest.raises(ArgumentError, match=r"^Base: no argument 'c'; it has a$"):
        Base(c=3)  # type: ignore[call-arg]
