"""Messages for unknown names list what there is, nearest first."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch import nn

import hwbnn
from hwbnn.errors import HwbnnError, nearest
from hwbnn.graph import Dot, Input, Output
from hwbnn.nn import network
from hwbnn.training import Recipe, dataset


def test_near_names_stand_first_and_none_is_left_out() -> None:
    known = ["adabin", "bnn_pp", "bnn_ste"]
    assert nearest("bnn_st", known) == "bnn_ste, bnn_pp, adabin"
    assert nearest("BNN_STE", known).startswith("bnn_ste, ")
    assert nearest("colours", known) == "adabin, bnn_pp, bnn_ste"


def test_whatever_was_found_can_be_told() -> None:
    for found in (None, 7, 10**5000, "", "x" * 10**6, "\udcff", ["a"], {}):
        assert nearest(found, ["a", "b"]) == "a, b"
        assert nearest(found, []) == "none"


def test_lists_stay_short() -> None:
    told = nearest("n999", (f"n{i}" for i in range(1000)))
    assert told.startswith("n999, ")
    assert told.endswith(" and 960 more")
    assert len(nearest("x", ["y" * 10**6])) < 100


WEIGHTS = np.ones((3, 8), bool)
G = hwbnn.Input.bits(6)
RECIPE = {"network": "digits", "data": "digits", "epochs": 1}
UNKNOWN: dict[str, tuple[Callable[[], object], str]] = {
    "method": (lambda: hwbnn.methods.get("bnn_st"), "bnn_ste, "),
    "hyper-parameter": (lambda: hwbnn.methods.get("adabin", mod="qat"), "mode, "),
    "hyper-parameter's value": (lambda: hwbnn.methods.get("adabin", mode="exakt"), "exact, "),
    "network": (lambda: network("sffc", G, 10, hwbnn.methods.get("bnn_ste")), "sfc, "),
    "data set": (lambda: dataset("fashion-mnist"), "fashion_mnist, "),
    "recipe key": (lambda: Recipe.from_toml('netwrk = "sfc"'), "network, "),
    "recipe value": (lambda: Recipe(**{**RECIPE, "schedule": "cosinus"}), "cosine, "),
    "target": (lambda: hwbnn.generate(graph(), "rlt"), "rtl, "),
    "engine": (lambda: hwbnn.simulate(graph(), np.zeros((1, 8), int), engine="fest"), "fast, "),
    "node": (lambda: graph().node("hiden"), "hidden, "),
    "layer of a Plan": (
        lambda: hwbnn.Plan(layers={"hiden": hwbnn.Unrolled()}).check(graph()),
        "hid",
    ),
    "key of a Plan": (lambda: hwbnn.Plan.from_json('{"defalt": 1}'), "default, "),
    "public name": (lambda: hwbnn.lowr, "lower, "),
}


def graph() -> hwbnn.Graph:
    return hwbnn.Graph(
        (Input("x", (8,), 0, 1, bit=True), Dot("hidden", "x", WEIGHTS), Output("y", "hidden"))
    )


@pytest.mark.parametrize("kind", UNKNOWN)
def test_an_unknown_name_is_answered_by_what_there_is(kind: str) -> None:
    call, first = UNKNOWN[kind]
    with pytest.raises((HwbnnError, AttributeError)) as caught:
        call()
    told = str(caught.value)
    lists = "expected|expected one of|it has|there are|those are|a recipe has"
    assert re.search(rf"({lists}) {first}", told), told


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (nn.Linear(8, 3), "hwbnn.lower(model, input) makes one of a model"),
        ("graph.npz", "hwbnn.load reads one from a file"),
        (np.zeros(3), "hwbnn.load reads one"),
    ],
    ids=["model", "path", "array"],
)
def test_what_is_no_graph_is_refused_by_all_that_take_one(given: Any, hint: str) -> None:
    x = np.zeros((1, 8), int)
    for name, call in {
        "generate": lambda: hwbnn.generate(given, "rtl"),
        "simulate": lambda: hwbnn.simulate(given, x),
        "verify": lambda: hwbnn.verify(given, x),
        "save": lambda: hwbnn.save(given, "new.npz"),
    }.items():
        found = type(given).__name__
        with pytest.raises(HwbnnError, match=f"^{name}: expected a Graph, found {found}; ") as told:
            call()
        assert hint in str(told.value)
