"""Names have one meaning: classes, types and modules of the package; files begin by a docstring."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "hwbnn"

SAME_TYPE = {
    "Control": "the command line's option of the Plan's control block",
    "CorePort": "the command line's option of the Plan's ports",
    "Engine": "the command line's option of the simulators' engine",
    "Form": "the command line's option of the Plan's form",
    "Framing": "the command line's option of the Plan's framing",
    "Select": "the torch module that becomes the node of this name",
}
"""Names of types that two rooms have for one concept, and that concept."""

SAME_CONCEPT = {
    "__init__": "a package",
    "blocks": "a circuit's blocks: as values, and as instances of Verilog",
    "depths": "depths of FIFOs: of a core's forks, and of HLS streams",
    "describe": "core.json and README of a project: of RTL, and of HLS",
    "layers": "weights of layers: from torch, and from there on as arrays",
    "nodes": "the nodes of a Graph, and their calls in HLS",
    "ops": "channelwise functions: from torch, and from there on as arrays",
    "pools": "pools of images: lowered, and in the fast simulator",
    "products": "blocks of weighted sums: as values, and as instances of Verilog",
    "stages": "a circuit's stages: as values, and as instances of Verilog",
    "sums": "weighted sums: in the fast simulator, and in HLS",
}
"""Names of modules that several folders have for one concept, and that concept."""


WORDS = {
    "levels": (
        "the highest code of an activation, or the number of its thresholds",
        {"methods", "nn", "graph", "lowering", "simulators"},
    ),
    "group": ("one of a convolution's groups of channels", {"simulators"}),
    "chunks": ("the tokens of a pixel", {"plan", "targets"}),
    "segment": ("elements of a packed value of which the first begins a word", {"targets"}),
    "cluster": ("neurons that share parts of their sums", {"netlists"}),
}
"""Words with one meaning as names of variables, functions, fields and arguments; their rooms."""


def types(tree: ast.Module) -> Iterator[str]:
    """Names of classes and of types, those in CamelCase that a module gives a meaning."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        for target in getattr(node, "targets", []):
            is_name = isinstance(target, ast.Name) and len(target.id) > 1
            if is_name and target.id[0].isupper() and not target.id.isupper():
                yield target.id


def test_a_type_has_one_meaning() -> None:
    homes = defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        for name in types(ast.parse(file.read_text(encoding="utf-8"))):
            homes[name].append(str(file.relative_to(PACKAGE)))
    several = {name: sorted(files) for name, files in homes.items() if len(files) > 1}
    assert {n: f for n, f in several.items() if n not in SAME_TYPE} == {}
    assert set(SAME_TYPE) <= set(several)


def test_a_module_name_has_one_meaning() -> None:
    homes = defaultdict(list)
    for file in PACKAGE.rglob("*.py"):
        homes[file.stem].append(str(file.relative_to(PACKAGE)))
    several = {name: sorted(files) for name, files in homes.items() if len(files) > 1}
    assert {n: f for n, f in several.items() if n not in SAME_CONCEPT} == {}
    assert set(SAME_CONCEPT) <= set(several)


def names(tree: ast.Module) -> Iterator[str]:
    """Names of functions, and of variables, fields and arguments where they get a value."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def test_a_word_with_one_meaning_names_nothing_in_other_rooms() -> None:
    strangers = {
        f"{word} in {file.relative_to(PACKAGE)}: means {meaning} in {', '.join(sorted(rooms))}"
        for file in PACKAGE.rglob("*.py")
        for name in set(names(ast.parse(file.read_text(encoding="utf-8"))))
        for word, (meaning, rooms) in WORDS.items()
        if name == word and file.relative_to(PACKAGE).parts[0] not in rooms
    }
    assert strangers == set()


def test_a_name_with_a_second_meaning_is_seen() -> None:
    planted = "def f(group):\n    x.levels = 1\n    for chunks in x: pass\n"
    assert {"group", "levels", "chunks"} <= set(names(ast.parse(planted)))


def test_every_file_says_first_what_it_is_about() -> None:
    files = [
        file
        for folder in ("hwbnn", "tests", "rtl_tests", "benchmarks", "scripts")
        for file in (PACKAGE.parent / folder).rglob("*.py")
    ]
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    mute = [
        f for f, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert mute == []


def test_no_docstring_of_the_package_opens_with_what() -> None:
    """A noun says it: 'The result of a run', not 'What a run came to'."""
    opening = re.compile(r'^\s*r?"""What ', re.MULTILINE)
    files = [file for file in PACKAGE.rglob("*.py") if opening.search(file.read_text("utf-8"))]
    assert files == []
