"""Data sets: folders, digests, OpenML."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from hwbnn.errors import InputError, ToolNotFound
from hwbnn.training import data, image_files
from hwbnn.training.data import DATASETS, PUBLISHED, Dataset, dataset, part_digest
from hwbnn.training.image_files import IDX_FILES, write_idx
from tests.training.openml import OpenMLServer
from tests.training.samples import colours, mnist_sample


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the data sets of the person who runs it."""
    monkeypatch.delenv(data.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "scikit"))


def write_files(folder: Path, sample: Dataset, ending: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    parts = (sample.train_images, sample.train_labels, sample.test_images, sample.test_labels)
    for name, array in zip(IDX_FILES, parts, strict=True):
        write_idx(folder / f"{name}{ending}", array)
    return folder


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The sample, taken for the published MNIST."""
    sample = mnist_sample()
    published = replace(
        PUBLISHED["mnist"],
        train_digest=part_digest(sample.train_images, sample.train_labels),
        test_digest=part_digest(sample.test_images, sample.test_labels),
        train_size=len(sample.train_images),
    )
    monkeypatch.setitem(PUBLISHED, "mnist", published)
    return sample


def test_digits_are_all_there_and_split_as_said() -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    digits = dataset("digits")
    assert (len(digits.train_images), len(digits.test_images)) == (1442, 355)
    assert digits.shape == (8, 8)
    assert digits.high == digits.train_images.max() == digits.test_images.max() == 16
    for digit in range(10):
        images = bunch.images[bunch.target == digit].astype(np.uint8)
        assert np.array_equal(digits.test_images[digits.test_labels == digit], images[4::5])
        rest = np.delete(images, np.s_[4::5], axis=0)
        assert np.array_equal(digits.train_images[digits.train_labels == digit], rest)


def test_the_digest_is_over_pixels_then_labels() -> None:
    digits = dataset("digits")
    content = digits.train_images.tobytes() + digits.train_labels.tobytes()
    assert hashlib.sha256(content).hexdigest() == PUBLISHED["digits"].train_digest
    changed = digits.test_images.copy()
    changed[3, 2, 1] ^= 1
    assert replace(digits, test_images=changed).digest != digits.digest


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("inner", ["", "mnist", "MNIST/raw"])
def test_a_local_folder_is_read(tmp_path: Path, sample: Dataset, inner: str, ending: str) -> None:
    write_files(tmp_path / "sets" / inner, sample, ending)
    found = dataset("mnist", tmp_path / "sets")
    assert found.digest == sample.digest
    assert found.shape == (28, 28)
    assert found.origin.startswith("IDX files")


def test_the_variable_names_the_folder_and_the_option_goes_before_it(
    tmp_path: Path, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(tmp_path / "right" / "mnist", sample)
    monkeypatch.setenv("HWBNN_DATA", str(tmp_path / "right"))
    assert dataset("mnist").digest == sample.digest
    with pytest.raises(InputError, match="wrong"):
        dataset("mnist", tmp_path / "wrong")


def test_files_of_another_data_set_are_told_by_name(tmp_path: Path, sample: Dataset) -> None:
    folder = write_files(tmp_path, sample)
    with pytest.raises(InputError, match=r"'fashion_mnist'.*it is 'mnist'"):
        dataset("fashion_mnist", folder)


@pytest.mark.parametrize("part", ["train", "test"])
def test_one_changed_pixel_is_refused(tmp_path: Path, sample: Dataset, part: str) -> None:
    images = getattr(sample, f"{part}_images").copy()
    images[7, 14, 14] ^= 1
    folder = write_files(tmp_path, replace(sample, **{f"{part}_images": images}))
    with pytest.raises(InputError, match=f"the {part}.* part differs"):
        dataset("mnist", folder)


def test_a_missing_file_is_refused(tmp_path: Path, sample: Dataset) -> None:
    write_files(tmp_path, sample)
    (tmp_path / IDX_FILES[3]).unlink()
    with pytest.raises(InputError) as error:
        dataset("mnist", tmp_path)
    assert IDX_FILES[3] in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(InputError, match="data set 'emnist': expected one of mnist, ") as error:
        dataset("emnist")
    assert all(name in str(error.value) for name in DATASETS)


def test_openml_is_read_once_and_kept(
    tmp_path: Path, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = OpenMLServer(
        PUBLISHED["mnist"].openml,
        np.concatenate([sample.train_images, sample.test_images]),
        np.concatenate([sample.train_labels, sample.test_labels]),
    )
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", server)
    first = dataset("mnist")
    assert first.digest == sample.digest
    assert first.origin == "OpenML data set 554"
    asked = len(server.asked)
    assert asked > 0
    assert dataset("mnist").digest == sample.digest
    assert len(server.asked) == asked
    kept = tmp_path / "scikit" / "hwbnn-mnist"
    assert sorted(f.name for f in kept.iterdir()) == sorted(f"{name}.gz" for name in IDX_FILES)


def test_wrong_data_from_openml_are_not_kept(
    tmp_path: Path, sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.concatenate([sample.train_images, sample.test_images])[::-1]
    labels = np.concatenate([sample.train_labels, sample.test_labels])[::-1]
    server = OpenMLServer(PUBLISHED["mnist"].openml, images, labels)
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", server)
    with pytest.raises(InputError, match="differs"):
        dataset("mnist")
    assert not (tmp_path / "scikit" / "hwbnn-mnist").exists()


def test_without_a_network_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(request: object, **options: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", unreachable)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda seconds: None)
    with pytest.raises(InputError, match=r"Name or service not known.*HWBNN_DATA") as error:
        dataset("fashion_mnist")
    assert "\n" not in str(error.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(ToolNotFound, match=r"hwbnn\[train\]"):
        dataset("digits")


@pytest.mark.parametrize(
    "change",
    [
        {"train_images": np.zeros((500, 28, 28), np.float32)},
        {"train_labels": np.zeros(499, np.uint8)},
        {"test_images": np.zeros((200, 28, 27), np.uint8)},
        {"test_labels": np.full(200, 10, np.uint8)},
        {"train_images": np.zeros((0, 28, 28), np.uint8), "train_labels": np.zeros(0, np.uint8)},
        {"high": 16},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="data set 'mnist'"):
        replace(mnist_sample(), **change)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Random pictures, taken for the published CIFAR-10, in the order that it is read in."""
    drawn = colours()
    train = image_files.by_digest(drawn.train_images, drawn.train_labels)
    test = image_files.by_digest(drawn.test_images, drawn.test_labels)
    published = replace(
        PUBLISHED["cifar10"],
        train_digest=part_digest(*train),
        test_digest=part_digest(*test),
        train_size=len(train[0]),
    )
    monkeypatch.setitem(PUBLISHED, "cifar10", published)
    return Dataset("cifar10", *train, *test, published.classes)


def test_the_batches_of_cifar_are_read_in_whatever_order_they_hold(
    tmp_path: Path, pictures: Dataset
) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    mixed = np.array_split(np.random.default_rng(0).permutation(len(pictures.train_labels)), 5)
    for file, index in zip(image_files.CIFAR_BATCHES, mixed, strict=True):
        image_files.write_records(
            folder / file, pictures.train_images[index], pictures.train_labels[index]
        )
    image_files.write_records(
        folder / image_files.CIFAR_TEST, pictures.test_images, pictures.test_labels
    )
    for place in (tmp_path, folder):
        found = dataset("cifar10", place)
        assert found.digest == pictures.digest
        assert found.origin == "batches in cifar-10-batches-bin"
        assert np.array_equal(found.train_images, pictures.train_images)
    content = bytearray((folder / image_files.CIFAR_TEST).read_bytes())
    content[100] ^= 1
    (folder / image_files.CIFAR_TEST).write_bytes(content)
    with pytest.raises(InputError, match="the test part differs"):
        dataset("cifar10", tmp_path)
    (folder / image_files.CIFAR_TEST).unlink()
    with pytest.raises(InputError, match=r"data_batch_1\.bin, .* and test_batch\.bin in "):
        dataset("cifar10", tmp_path)


def test_cifar_from_openml_is_kept_as_batches(
    tmp_path: Path, pictures: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.concatenate([pictures.train_images, pictures.test_images])
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    labels = np.concatenate([pictures.train_labels, pictures.test_labels])
    server = OpenMLServer(PUBLISHED["cifar10"].openml, planes, labels)
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", server)
    assert dataset("cifar10").digest == pictures.digest
    asked = len(server.asked)
    assert dataset("cifar10").digest == pictures.digest
    assert len(server.asked) == asked
    kept = tmp_path / "scikit" / "hwbnn-cifar10"
    assert sorted(file.name for file in kept.iterdir()) == sorted(image_files.CIFAR_FILES)
