"""Files of Graphs, from friends and from strangers."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbnn.errors import GraphError
from hwbnn.graph import (
    ArgMax,
    Dot,
    Graph,
    Input,
    Output,
    Threshold,
    from_bytes,
    load,
    save,
    store,
    to_bytes,
)
from tests.strategies import graphs

CUTS = np.array([[1], [-3], [0]])
GRAPH = Graph(
    (
        Input.bits(9),
        Dot("dot", "x", np.random.default_rng(1).random((3, 9)) < 0.5),
        Threshold("fires", "dot", CUTS, np.array([True, False, True])),
        Dot("scores", "fires", np.eye(3, dtype=np.bool_)),
        ArgMax("best", "scores"),
        Output("y", "best"),
    ),
    {"made by": "a test; ünïcode"},
)
DATA = to_bytes(GRAPH)

Members = dict[str, bytes]


def members(data: bytes = DATA) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=True)
    return stream.getvalue()


def header(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The file with its header changed in place, or replaced by what ``change`` returns."""
    files = members()
    given = json.loads(np.load(io.BytesIO(files["graph.json.npy"])).tobytes())
    given = change(given) or given
    text = given if isinstance(given, bytes) else json.dumps(given).encode()
    return packed({**files, "graph.json.npy": npy(np.frombuffer(text, np.uint8))})


def member(name: str, content: bytes) -> bytes:
    return packed({**members(), name: content})


def refused(data: bytes, message: str | None = None) -> None:
    """See a file refused, with one line."""
    with pytest.raises(GraphError, match=message) as caught:
        from_bytes(data, "file")
    assert_one_line(caught.value)


def assert_one_line(error: GraphError) -> None:
    text = str(error)
    assert text.startswith("file: ")
    assert text.isprintable()
    assert len(text) < 500


def test_a_graph_comes_back_the_same() -> None:
    again = from_bytes(DATA)
    assert again == GRAPH
    assert dict(again.notes) == dict(GRAPH.notes)
    assert to_bytes(again) == DATA


SCALED = Graph(
    (
        Input.bits(3),
        Dot("dot", "x", np.eye(3, dtype=np.bool_), np.array([4, 4, 8]), np.array([0, -1, 3])),
        Dot("plain", "dot", np.eye(3, dtype=np.bool_)),
        Output("y", "plain"),
    )
)


def test_scale_and_offset_come_back_and_need_a_newer_reader() -> None:
    again = from_bytes(to_bytes(SCALED))
    assert again == SCALED
    dot, plain = again.of_type(Dot)
    assert dot.scale is not None
    assert dot.scale.tolist() == [4, 4, 8]
    assert dot.offset is not None
    assert dot.offset.tolist() == [0, -1, 3]
    assert plain.scale_offset is None
    # A reader of format 1 refuses any other by its number; what it can read says 1 still.
    assert described(SCALED)["hwbnn graph"] == 2
    assert described(GRAPH)["hwbnn graph"] == 1


def test_digests_of_plain_graphs_outlive_scale_and_offset() -> None:
    assert GRAPH.digest == ("893385cfa1c8e84238de6a4bb470d650139bf9a71d465218047287da569e1094")
    unscaled = Dot("dot", "x", np.eye(3, dtype=np.bool_))
    zero = Dot("dot", "x", np.eye(3, dtype=np.bool_), np.ones(3, int), np.zeros(3, int))
    digests = {Graph((Input.bits(3), dot, Output("y", "dot"))).digest for dot in (unscaled, zero)}
    assert len(digests) == 2


def described(graph: Graph) -> dict[str, Any]:
    files = members(to_bytes(graph))
    found: dict[str, Any] = json.loads(np.load(io.BytesIO(files["graph.json.npy"])).tobytes())
    return found


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("scale", None, "'dot': offset: expected both"),
        ("scale", 3, "'dot': scale: expected a non-empty 1-D array"),
        ("offset", [1, 2, 3], "altered or damaged"),
        ("offset", "rm -rf", "'dot': offset: expected a non-empty 1-D array of integers"),
        ("offset", [1, 2], "'dot': offset: expected 3 channels as in weights, found 2"),
        ("offset", [1, 2, 1 << 31], "'dot': offset: expected magnitudes below 2.31"),
        ("offset", {"array": "nothing", "bits": 0}, "malformed"),
        ("offset", {"array": "1.weights", "bits": 3}, "'dot': offset: .* 1-D array of integers"),
    ],
)
def test_hostile_factors_are_refused(field: str, value: Any, message: str) -> None:
    files, given = members(to_bytes(SCALED)), described(SCALED)
    files.pop(f"1.{field}.npy")
    given["nodes"][1][field] = value
    text = np.frombuffer(json.dumps(given).encode(), np.uint8)
    refused(packed({**files, "graph.json.npy": npy(text)}), message)
    given["hwbnn graph"] = 1
    text = np.frombuffer(json.dumps(given).encode(), np.uint8)
    old = "expected the fields name, source, weights, found"
    refused(packed({**files, "graph.json.npy": npy(text)}), old)


@given(graphs())
def test_any_graph_comes_back_the_same(graph: Graph) -> None:
    data = to_bytes(graph)
    assert from_bytes(data).digest == graph.digest
    assert to_bytes(from_bytes(data)) == data


def test_a_file_comes_back_the_same(tmp_path: Path) -> None:
    path = save(GRAPH, tmp_path / "graph.npz")
    assert load(str(path)) == GRAPH
    assert [p.name for p in tmp_path.iterdir()] == ["graph.npz"]


def test_numpy_reads_the_file_without_us(tmp_path: Path) -> None:
    with np.load(save(GRAPH, tmp_path / "graph.npz"), allow_pickle=False) as file:
        assert file["2.thresholds"].tolist() == CUTS.tolist()


@pytest.mark.parametrize("end", range(0, len(DATA), 64))
def test_a_truncated_file_is_refused(end: int) -> None:
    refused(DATA[:end], "not a Graph file, or truncated")


@pytest.mark.parametrize("start", range(0, len(DATA), 61))
def test_a_flipped_bit_is_harmless_or_refused(start: int) -> None:
    data = bytearray(DATA)
    for i in range(start, min(start + 61, len(data))):
        data[i] ^= 1 << (i % 8)
        harmless_or_refused(bytes(data))
        data[i] ^= 1 << (i % 8)


@given(st.data())
def test_scrambled_files_are_harmless_or_refused(data: st.DataObject) -> None:
    scrambled = bytearray(DATA)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(scrambled) - 1))
        scrambled[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    harmless_or_refused(bytes(scrambled))


def harmless_or_refused(data: bytes) -> None:
    """What the zip format ignores (times, attributes) may change; what is computed may not."""
    try:
        again = from_bytes(data, "file")
    except GraphError as error:
        assert_one_line(error)
    else:
        assert again.digest == GRAPH.digest


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_any_json_in_any_field_is_harmless_or_refused(data: st.DataObject) -> None:
    def change(given: dict[str, Any]) -> None:
        node = data.draw(st.sampled_from(given["nodes"]))
        where = data.draw(st.sampled_from([given, node]))
        where[data.draw(st.sampled_from(sorted(where)))] = data.draw(json_values)

    try:
        from_bytes(header(change), "file")
    except GraphError as error:
        assert_one_line(error)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a Graph file"),
    "text": (lambda: b"hello\n" * 100, "not a Graph file"),
    "another zip": (lambda: packed({"a.txt": b"a"}), "malformed|not a Graph file"),
    "another npz": (lambda: packed({"a.npy": npy([1])}), "expected a member 'graph.json'"),
    "newer": (lambda: header(lambda h: h.update({"hwbnn graph": 7})), "format 7: this .* update"),
    "no format": (lambda: header(lambda h: {"nodes": []}), "its header names no format"),
    "header a list": (lambda: header(lambda h: [1]), "its header names no format"),
    "no nodes": (lambda: packed({"graph.json.npy": EMPTY}), "begins with Input"),
    "nodes a number": (lambda: header(lambda h: h.update(nodes=3)), "expected a list of nodes"),
    "notes a list": (lambda: header(lambda h: h.update(notes=[])), "a table of notes"),
    "notes of numbers": (lambda: header(lambda h: h.update(notes={"a": 1})), "notes: expected"),
    "node a line": (lambda: header(lambda h: h["nodes"].insert(1, "a\nb")), "unknown node 'a.n?b'"),
    "unknown node": (lambda: header(lambda h: h["nodes"][1].update(kind="Conv9")), "unknown node"),
    "kind a list": (lambda: header(lambda h: h["nodes"][1].update(kind=[])), "unknown node"),
    "extra field": (
        lambda: header(lambda h: h["nodes"][1].update(z=1)),
        "'dot' .Dot.: expected th",
    ),
    "missing field": (
        lambda: header(lambda h: h["nodes"][1].__delitem__("weights")),
        "expected the fields",
    ),
    "wrong digest": (lambda: header(lambda h: h.update(digest="0" * 64)), "altered or damaged"),
    "digest of lines": (lambda: header(lambda h: h.update(digest="a\nb")), "altered or damaged"),
    "no digest": (lambda: header(lambda h: h.__delitem__("digest")), "malformed"),
    "deep JSON": (lambda: header(lambda h: b"[" * 100_000), "malformed"),
    "half JSON": (lambda: header(lambda h: b'{"hwbnn graph": 1'), "malformed"),
    "huge integer": (lambda: header(lambda h: b'{"hwbnn graph": 1' + b"0" * 9999), "malformed"),
    "not UTF-8": (lambda: header(lambda h: b"\xff\xfe"), "malformed"),
    "member not named": (lambda: member("9.z.npy", npy([1])), "member '9.z': no node"),
    "member outside": (lambda: member("../../evil.npy", npy([1])), "no node of the header names"),
    "member missing": (
        lambda: packed({k: v for k, v in members().items() if k != "1.weights.npy"}),
        "malformed.*1.weights",
    ),
    "source a list": (
        lambda: header(lambda h: h["nodes"][1].update(source=["x"])),
        "'dot': source: expected a name",
    ),
    "floats for bits": (lambda: member("1.weights.npy", npy(np.ones((3, 2)))), "packed bits"),
    "too few bits": (
        lambda: member("1.weights.npy", npy(np.ones((3, 1), np.uint8))),
        "member '1.weights': expected rows of 9 packed bits",
    ),
    "bits behind the end": (
        lambda: member("1.weights.npy", npy(np.full((3, 2), 255, np.uint8))),
        "zeros behind the last bit",
    ),
    "bits without rows": (lambda: member("1.weights.npy", npy(np.uint8(3))), "packed bits"),
    "floats for integers": (
        lambda: member("2.thresholds.npy", npy(CUTS * 1.5)),
        "'fires': thresholds: .* found float64",
    ),
    "a record array": (
        lambda: member("2.thresholds.npy", npy(np.zeros(3, [("a", "i8")]))),
        "'fires': thresholds: expected",
    ),
    "another shape": (lambda: member("2.thresholds.npy", npy(CUTS[:2])), "'fires': falling"),
    "another value": (lambda: member("2.thresholds.npy", npy(CUTS + 1)), "altered or damaged"),
    "array cut": (lambda: member("2.thresholds.npy", npy(CUTS)[:-3]), "malformed"),
    "array too large": (lambda: member("2.thresholds.npy", claiming(10**9)), "malformed"),
    "array of 8 EB": (lambda: member("2.thresholds.npy", claiming(10**18)), "malformed"),
    "array over all": (lambda: member("2.thresholds.npy", claiming(10**30)), "malformed"),
    "not an array": (lambda: member("2.thresholds.npy", b"nothing"), "malformed"),
    "encrypted": (lambda: flagged(0x1), "malformed|not a Graph file"),
    "of unknown compression": (lambda: compressed_by(99), "not a Graph file"),
}


EMPTY = npy(np.frombuffer(b'{"hwbnn graph": 1, "nodes": [], "notes": {}}', np.uint8))


def claiming(size: int) -> bytes:
    """An array of three integers whose header says that there are more."""
    true = b"(3, 1), }" + b" " * 40
    content = npy(CUTS)
    assert true in content
    return content.replace(true, f"({size},), }}".encode().ljust(len(true)))


def flagged(bit: int) -> bytes:
    """All members marked in both of their headers."""
    data = bytearray(DATA)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(magic)
        while start >= 0:
            data[start + at] |= bit
            start = data.find(magic, start + 4)
    return bytes(data)


def compressed_by(method: int) -> bytes:
    data = bytearray(DATA)
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = data.find(magic)
        while start >= 0:
            data[start + at : start + at + 2] = struct.pack("<H", method)
            start = data.find(magic, start + 4)
    return bytes(data)


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_file_is_refused(case: str) -> None:
    make, message = REFUSED[case]
    refused(make(), message)


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "x]; exec rm -rf $HOME; [",
    "$(reboot)",
    "`reboot`",
    "x\ny",
    "\x1b[31mred",
    "module x; endmodule",
    "ünïcode",
    "\u202egnp.exe",
    "",
    "x" * 10_000,
    '"; system("reboot"); //',
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused(name: str) -> None:
    refused(header(lambda h: h["nodes"][1].update(name=name)), "node name .*: expected at most 48")
    refused(header(lambda h: h["nodes"][1].update(source=name)), "source .*: expected the name")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_anywhere_gives_one_printable_line(text: str) -> None:
    refused(header(lambda h: h["nodes"][1].update(kind=text)))
    refused(header(lambda h: h["nodes"][1].update({text + "z": 1})))
    refused(header(lambda h: h["nodes"][1]["weights"].update(array=text)))
    refused(header(lambda h: h.update({"hwbnn graph": text})))
    refused(member(f"{text}z.npy", npy([1])))
    refused(member(f"{text}z.npy", b"\x93NUMPY\x01\x00\x10\x00" + text.encode()))


class Evil:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    evil = Evil(mark)
    pickle.loads(pickle.dumps(evil))
    assert mark.exists(), "the test itself must be able to fail"
    mark.unlink()
    objects = np.empty((3, 1), object)
    objects[:] = evil
    for name in ("2.thresholds.npy", "graph.json.npy", "1.weights.npy"):
        refused(member(name, npy(objects)))
        refused(member(name, pickle.dumps(evil)))
    refused(pickle.dumps(evil))
    assert not mark.exists()


def test_a_zip_bomb_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SIZE_LIMIT", 1 << 20)
    bomb = member("1.weights.npy", npy(np.zeros(1 << 20, np.uint8)))
    assert len(bomb) < 10_000
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was unpacked"))
    refused(bomb, "larger than 1 MiB unpacked")


def test_a_member_that_unpacks_to_more_than_it_says_is_refused() -> None:
    content = npy(np.zeros(1 << 20, np.uint8))
    data = bytearray(packed({"graph.json.npy": content}))
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.find(magic)
        data[start + at : start + at + 4] = struct.pack("<I", 256)
    refused(bytes(data))


def test_too_many_members_nodes_or_bytes_of_header_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "NODES_LIMIT", 5)
    refused(packed({f"{i}.npy": b"" for i in range(6)}), "over 5 members; refused")
    refused(DATA, "6 nodes: expected at most 5")
    monkeypatch.setattr(store, "HEADER_LIMIT", 100)
    refused(DATA, "its header is larger than 0 MiB")


def test_files_that_cannot_be_read_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (tmp_path / "none.npz", tmp_path, "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(GraphError, match="cannot read the Graph: "):
            load(path)
        with pytest.raises(GraphError, match="cannot write the Graph: "):
            save(GRAPH, Path(path) if path != tmp_path / "none.npz" else tmp_path / "no" / "n")
    assert list(tmp_path.iterdir()) == []
    path = save(GRAPH, tmp_path / "graph.npz")
    monkeypatch.setattr(store, "SIZE_LIMIT", 10)
    with pytest.raises(GraphError, match="larger than 0 MiB; refused"):
        load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(GRAPH, tmp_path / "graph.npz")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(GraphError, match=r"graph\.npz: cannot write the Graph: No space left"):
        save(GRAPH, path)
    assert [p.name for p in tmp_path.iterdir()] == ["graph.npz"]
    assert load(path) == GRAPH


def test_the_longest_name_that_a_folder_takes_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("g" * 251 + ".npz")
    assert load(save(GRAPH, path)) == GRAPH
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["g" * 5000, "", "/", "a\x00b", "missing/\udcff.npz"])
def test_paths_that_are_none_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = Path(name) if name in ("", "/") else tmp_path / name
    for use in (lambda: save(GRAPH, path), lambda: load(path)):
        with pytest.raises(GraphError, match="Graph") as caught:
            use()
        assert "\n" not in str(caught.value)
        str(caught.value).encode()


def test_a_device_that_never_ends_is_not_read() -> None:
    with pytest.raises(GraphError, match="/dev/zero: cannot read the Graph: expected a file"):
        load("/dev/zero")


def test_notes_that_no_file_can_hold_are_refused() -> None:
    for notes in ({"from": "\ud800"}, {"\udfff": "a"}):
        with pytest.raises(GraphError, match="notes: expected text that UTF-8 can hold, found '"):
            Graph(GRAPH.nodes, notes)


def test_border_classes_are_places_in_files() -> None:
    """Files and digests keep the name that the field had when they were written."""
    graph = Graph(
        [
            Input("x", (1, 2, 1), 0, 9),
            Threshold("t", "x", np.array([[[5]], [[2]]]), np.array([False]), np.array([[0, 1]])),
            Output("y", "t"),
        ]
    )
    file = to_bytes(graph)
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert "1.places.npy" in archive.namelist()
    again = from_bytes(file)
    assert again == graph
    assert again.nodes[1].border_classes.tolist() == [[0, 1]]
    assert graph.digest.startswith("5d9f32dd8ebf9c4a")  # as before the field was renamed
