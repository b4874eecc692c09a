"""Files of Keras: three forms of one network read alike, and hostile ones are refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwbnn.errors import InputError
from hwbnn.readers import json_text, read_program, recognise
from hwbnn.readers.json_text import read_json
from hwbnn.readers.keras import saved_model
from hwbnn.readers.keras.saved_model import from_keras
from hwbnn.tools.hdf5 import Hdf5File
from tests.readers.keras.evaluate import values
from tests.readers.keras.tiny import (
    Tiny,
    counted,
    dense,
    h5_file,
    hdf5,
    keras_file,
    named,
    sequential,
    zipped,
)

KERNEL = np.where(np.arange(12).reshape(4, 3) % 5 < 2, -0.5, 0.75)
LAYERS = (
    dense(KERNEL, "binary(alpha=1)"),
    Tiny("QActivation", {"activation": "ternary(threshold=1.0)"}),
)
X = np.arange(-6, 6).reshape(3, 4)


def write(folder: Path, generation: int = 3) -> list[tuple[Path, Path | None]]:
    """The network in each form, and the weights where these are a file of their own."""
    model = sequential(LAYERS, (4,), generation)
    (folder / "a.keras").write_bytes(keras_file(LAYERS, model))
    (folder / "old.keras").write_bytes(keras_file(LAYERS, model, "2.15.0", noted=False))
    (folder / "a.h5").write_bytes(h5_file(LAYERS, model))
    (folder / "a.json").write_text(json.dumps(model, indent=2))
    (folder / "names.h5").write_bytes(hdf5(named(LAYERS)))
    (folder / "counts.h5").write_bytes(hdf5(counted(LAYERS)))
    (folder / "gzip.h5").write_bytes(
        hdf5(named(LAYERS), compression="gzip", shuffle=True, fletcher32=True)
    )
    alone = [(folder / name, None) for name in ("a.keras", "old.keras", "a.h5")]
    weights = ("names.h5", "counts.h5", "gzip.h5")
    return [*alone, *((folder / "a.json", folder / name) for name in weights)]


def test_all_forms_of_a_network_read_alike(tmp_path: Path) -> None:
    found = [read_program(*paths) for paths in write(tmp_path)]
    assert len(found) == 6
    sums = X @ np.where(KERNEL < 0, -1, 1)
    wanted = np.where(np.abs(sums) >= 1, np.sign(sums), 0)
    for program in found:
        assert np.array_equal(values(program, X)[program.output], wanted)


def test_the_kind_is_recognised_by_content(tmp_path: Path) -> None:
    write(tmp_path)
    for name in ("a.keras", "a.h5", "a.json"):
        other = tmp_path / f"{name}.bin"
        other.write_bytes((tmp_path / name).read_bytes())
        reader = recognise(other)
        assert reader is not None
        assert "Keras" in reader.NAME
    for content in (b"", b"{}", b"PK\x03\x04", b"hello", b'{"part": "x"}', zipped({"a": b"b"})):
        other.write_bytes(content)
        found = recognise(other)
        assert found is None or "Keras" not in found.NAME


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match="save_weights"):
        read_program(tmp_path / "a.json")
    with pytest.raises(InputError, match="weights alone"):
        read_program(tmp_path / "names.h5")
    with pytest.raises(InputError, match="has weights itself"):
        read_program(tmp_path / "a.keras", tmp_path / "names.h5")


def members(**changes: Any) -> dict[str, bytes]:
    model = sequential(LAYERS, (4,))
    good = {
        "metadata.json": b'{"keras_version": "3.15.1"}',
        "config.json": json.dumps(model).encode(),
        "model.weights.h5": hdf5(counted(LAYERS)),
    }
    return {**good, **changes}


def test_zips_are_not_unpacked_beyond_their_three_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    outside = {"../outside": b"x", "/etc/outside": b"y", "assets/vocabulary": b"z"}
    assert from_keras(zipped(members() | outside), "t").generation == 3
    assert list(tmp_path.rglob("*")) == []
    without = members()
    del without["config.json"]
    with pytest.raises(InputError, match=r"one config\.json in it, found 0"):
        from_keras(zipped(without), "t")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = _twice("config.json", b"{}")
    with pytest.raises(InputError, match=r"one config\.json in it, found 2"):
        from_keras(twice, "t")


def _twice(name: str, content: bytes) -> bytes:
    import io

    stream = io.BytesIO(zipped(members()))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def test_sizes_are_checked_before_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = zipped(members(**{"config.json": b" " * 10**6}), zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(saved_model, "JSON_BYTES", 10**5)
    with pytest.raises(InputError, match="1000000 bytes"):
        from_keras(bomb, "t")
    monkeypatch.setattr(saved_model, "MOST_MEMBERS", 2)
    with pytest.raises(InputError, match="found more"):
        from_keras(zipped(members()), "t")


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_not_unpacked(packing: int) -> None:
    with pytest.raises(InputError, match="plain or deflated"):
        from_keras(zipped(members(), packing), "t")
    assert from_keras(zipped(members(), zipfile.ZIP_DEFLATED), "t").generation == 3


def test_a_size_that_the_directory_understates_is_seen() -> None:
    data = bytearray(zipped(members()))
    at = data.rindex(b"config.json") - 46  # the entry in the directory
    size = int.from_bytes(data[at + 24 : at + 28], "little")
    data[at + 24 : at + 28] = (size - 1).to_bytes(4, "little")
    with pytest.raises(InputError, match=r"zip"):
        from_keras(bytes(data), "t")


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": 1, "a": 2}', "[" * 10**5, "{" + '"a":{' * 100 + "}" * 101, "1" * 5000, "{", ""),
        *('{"a": nul}', b"\xff\xfe\x00", '["\\ud8"]'),
    ],
)
def test_hostile_json_is_refused_in_one_line(text: str | bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_json(text, "t")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_json_has_a_limit_of_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_json('{"a": [1, {"b": null}]}', "t") == {"a": [1, {"b": None}]}
    monkeypatch.setattr(json_text, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="at most"):
        read_json('{"a": "aaaaaaaaaa"}', "t")


def test_weights_of_half_and_double_precision_are_read_as_float32() -> None:
    layer = dense(np.float64([[1e-50, 0.5]]), "binary(alpha=1)")
    for dtype in ("f8", "f4", "f2"):
        file = Hdf5File({}, {"layers/q_dense/vars/0": np.asarray([[-1e-50, 0.5]], dtype)})
        from hwbnn.readers.keras import program

        model = sequential((layer,), (1,))
        found = program(saved_model.KerasFile("t", model, file, 3))
        # -1e-50 is -0 in float32, which counts as +1.
        assert found.layers[0].weights.ravel().tolist() == [1, 1]  # type: ignore[attr-defined]
