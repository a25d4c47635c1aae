"""Arrays and data sets in `.npy`, `.npz` and IDX files: labels of all kinds, damaged files."""

from __future__ import annotations

import gzip
import io
import os
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zoo import data
from zoo.errors import DataError
from zoo.images import arrays
from zoo.images.stream import ImageStream

COUNT = 40
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8), np.uint8)
LABELS = np.arange(COUNT) % 3


def npy(array: np.ndarray, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


def npz(content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("images.npy", content)
    return file.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\1\0\x76\0" + text.encode().ljust(117) + b"\n"


def overwrite(content: bytes, place: int, by: bytes) -> bytes:
    return content[:place] + by + content[place + len(by) :]


def change_headers(content: bytes, here: int, there: int, by: bytes) -> bytes:
    """Change a field of a zip archive in both headers, beside the member and in the directory."""
    for signature, place in ((b"PK\3\4", here), (b"PK\1\2", there)):
        content = overwrite(content, content.index(signature) + place, by)
    return content


def huge(order: bool) -> bytes:
    fields = f"'descr': '|u1', 'fortran_order': {order}, 'shape': (1000000000000, 8, 8)"
    return header(f"{{{fields}, }}") + bytes(99)


IDX = struct.pack(">4I", 0x803, COUNT, 8, 8) + IMAGES.tobytes()

DAMAGED = {
    "empty.npy": (b"", "is empty"),
    "header.npy": (npy(IMAGES)[:20], "cannot read"),
    "encrypted.npz": (change_headers(npz(npy(IMAGES)), 6, 8, b"\1"), "images is encrypted"),
    "deflate.npz": (
        overwrite(npz(npy(IMAGES), zipfile.ZIP_DEFLATED), 60, b"\xff" * 4),
        "cannot read",
    ),
    "bzip2.npz": (overwrite(npz(npy(IMAGES), zipfile.ZIP_BZIP2), 120, bytes(20)), "cannot read"),
    "lzma.npz": (overwrite(npz(npy(IMAGES), zipfile.ZIP_LZMA), 120, bytes(20)), "cannot read"),
    "method.npz": (change_headers(npz(npy(IMAGES)), 8, 10, b"\x63"), "cannot read"),
    "sum.npz": (overwrite(npz(npy(IMAGES)), 900, b"\1\2\3"), "Bad CRC-32"),
    "end.npz": (npz(npy(IMAGES))[:-40], "cannot read"),
    "cut.npz": (npz(npy(IMAGES)[:-5]), "shorter than its header says"),
    "long.npz": (npz(npy(IMAGES) + b"!"), "longer than its header says"),
    "text.npz": (npz(b"hello"), "cannot read"),
    "brackets.npz": (npz(header("{'shape': (" + "(" * 90)), "not that of an array"),
    "objects.npz": (npz(npy(np.array([{}], object), True)), "Python objects, which are never read"),
    "huge.npy": (huge(False), "shorter than its header says"),
    "huge-columns.npy": (huge(True), "shorter than its header says"),
    "huge.npz": (npz(huge(False), zipfile.ZIP_DEFLATED), "shorter than its header says"),
    "negative.npy": (
        header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 8, 8), }"),
        r"its header says uint8 \[-4, 8, 8\]",
    ),
    "nested.npy": (
        header("{'descr': ('|u1', (8, 8)), 'fortran_order': False, 'shape': (1,), }") + bytes(64),
        "its header",
    ),
    "cut.gz": (gzip.compress(IDX)[:-9], "cannot read"),
    "junk.gz": (gzip.compress(IDX) + b"junk", "cannot read"),
    "photos.tar.gz": (gzip.compress(b"photos/a.png" + bytes(500)), "not an IDX file"),
    "huge.gz": (gzip.compress(struct.pack(">4I", 0x803, 2**31, 8, 8)), "shorter than its header"),
    "int-idx": (struct.pack(">4I", 0xC03, 1, 8, 8) + bytes(256), "of type 0x0c, expected unsigned"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_line(tmp_path: Path, name: str) -> None:
    """Every reader refuses, without allocating what the header announces."""
    content, message = DAMAGED[name]
    path = tmp_path / name
    path.write_bytes(content)
    ways: list[Callable[[], object]] = [
        lambda: list(ImageStream([str(path)], (8, 8, 1))),
        lambda: arrays.read(path),
    ]
    if path.suffix == ".npz":
        ways.append(lambda: data.load(str(path)))
    for way in ways:
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=message) as raised:
                way()
            assert tracemalloc.get_traced_memory()[1] < 2**27
        finally:
            tracemalloc.stop()
        assert name in str(raised.value) and "\n" not in str(raised.value)


def test_every_bit_of_an_archive_may_be_damaged(tmp_path: Path) -> None:
    """A DataError, or arrays of the right shape if the bits do not matter."""
    random = np.random.default_rng(1)
    path = tmp_path / "a.npz"
    for save in (np.savez, np.savez_compressed):
        save(path, images=IMAGES[:20] // 200, labels=LABELS[:20])
        whole = path.read_bytes()
        for _ in range(100):
            content = bytearray(whole)
            for place in random.integers(0, len(content), 3):
                content[place] = random.integers(256)
            path.write_bytes(content)
            try:
                assert data.load(str(path)).seen.images.shape == (18, 8, 8, 1)
            except DataError as error:
                assert "\n" not in str(error)


def test_pipes_and_folders_are_no_files(tmp_path: Path) -> None:

    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(DataError, match="pipe.npy is not a file"):
        ImageStream([str(tmp_path / "pipe.npy")], (8, 8, 1))
    for name in ("pipe.npy", "folder.npz"):
        with pytest.raises(DataError, match=f"{name} is not a file"):
            arrays.read(tmp_path / name)
    with pytest.raises(DataError, match="pipe.npy is not a file"):
        data.read_idx(tmp_path / "pipe.npy")


@pytest.mark.parametrize("compression", [0, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, 14])
@pytest.mark.parametrize("name", ["images.npz", "IMAGES.NPZ"])
def test_archives_of_every_kind(tmp_path: Path, name: str, compression: int) -> None:
    for array in (IMAGES, np.asfortranarray(IMAGES), IMAGES.astype(">u1")):
        (tmp_path / name).write_bytes(npz(npy(array), compression))
        loaded = data.load(str(tmp_path / name))
        both = np.concatenate([part.images for part in loaded.parts.values()])
        assert sorted(map(bytes, both)) == sorted(map(bytes, IMAGES))


def test_arrays_are_those_of_numpy(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    made = {
        "scalar": np.array("text"),
        "names": np.array(["a", "longer", ""]),
        "none": np.zeros((0, 3), np.float32),
        "nothing": np.zeros(3, "U0"),
        "columns": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        "big": np.arange(5, dtype=">i8"),
        "flags": np.array([True, False]),
        "when": np.array(["2020-01-01"], "datetime64[D]"),
    }
    np.savez(path, **made)
    with arrays.open_archive(path) as archive:
        assert archive.names == list(made) and "images" not in archive
        for name, array in made.items():
            read = archive.read(name)
            assert read.dtype == array.dtype and np.array_equal(read, array)
        with pytest.raises(DataError, match="holds scalar, .*; expected one array named images"):
            archive.read("images")


def save_and_load(path: Path, **more: object) -> data.DataSet:
    np.savez(path, images=IMAGES, **more)
    return data.load(str(path))


NAMES = np.array(["cat", "dog", "emu"])

GOOD = {
    "integers": LABELS,
    "bytes": LABELS.astype(np.uint8),
    "floats": LABELS.astype(np.float32),
    "a column": LABELS[:, None],
    "names": NAMES[LABELS],
    "names in bytes": NAMES.astype("S")[LABELS],
}


@pytest.mark.parametrize("kind", GOOD)
def test_labels_are_numbers_or_names(tmp_path: Path, kind: str) -> None:
    loaded = save_and_load(tmp_path / "a.npz", labels=GOOD[kind])
    whole = data.DataSet("a", *data.split_by_seed(data.Split(IMAGES[..., None], LABELS)))
    for split, expected in zip(loaded.parts.values(), whole.parts.values(), strict=True):
        assert split.labels is not None and split.labels.dtype == np.int64
        assert np.array_equal(split.labels, expected.labels)
    assert loaded.classes == (NAMES.tolist() if "names" in kind else [])
    turned = save_and_load(tmp_path / "a.npz", labels=GOOD[kind], classes=NAMES[::-1])
    assert turned.classes == ["emu", "dog", "cat"]
    if "names" in kind:
        assert np.array_equal(turned.train.labels, 2 - np.asarray(whole.train.labels))


BAD = {
    "nan": (
        np.where(LABELS == 1, np.nan, LABELS),
        "labels must be whole numbers, got nan in row 1",
    ),
    "infinite": (np.where(LABELS == 2, np.inf, 0), "must be whole numbers, got inf in row 2"),
    "fraction": (LABELS + 0.5, "must be whole numbers, got 0.5 in row 0"),
    "negative": (LABELS - 1, "must be numbers of classes, 0 to 65535, got -1 in row 0"),
    "huge": (LABELS * 10**9, "0 to 65535, got 1000000000 in row 1"),
    "unsigned": (
        LABELS.astype(np.uint64) * np.uint64(2**63),
        "whole numbers, got 9223372036854775",
    ),
    "objects": (LABELS.astype(object), "holds Python objects, which are never read"),
    "dates": (LABELS.astype("datetime64[s]"), "numbers or names of classes, got datetime64"),
    "complex": (LABELS + 1j, "numbers or names of classes, got complex128"),
    "one-hot": (np.eye(3)[LABELS], r"40 images but labels of shape \[40, 3\]"),
    "scalar": (np.array(3), r"40 images but labels of shape \[\]"),
    "not UTF-8": (np.array([b"\xff"] * COUNT), "labels must be UTF-8"),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_labels_are_refused(tmp_path: Path, kind: str) -> None:
    labels, message = BAD[kind]
    with pytest.raises(DataError, match=message) as raised:
        save_and_load(tmp_path / "bad.npz", labels=labels)
    assert "bad.npz" in str(raised.value)


def test_labels_without_a_class_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 classes but a label 2 in train"):
        save_and_load(tmp_path / "bad.npz", labels=LABELS, classes=NAMES[:2])
    with pytest.raises(DataError, match="labels: 'emu' in row 2 is not a class; classes: cat, d"):
        save_and_load(tmp_path / "bad.npz", labels=NAMES[LABELS], classes=NAMES[:2])
    parts = {"train_images": IMAGES, "test_images": IMAGES, "train_labels": NAMES[LABELS % 2]}
    np.savez(tmp_path / "bad.npz", test_labels=NAMES[LABELS], **parts)
    with pytest.raises(DataError, match="test_labels: 'emu' in row 2 is not a class"):
        data.load(str(tmp_path / "bad.npz"))
    split = data.Split(IMAGES[..., None], LABELS)
    with pytest.raises(DataError, match="toy: 2 classes but a label 2 in train"):
        data.DataSet("toy", split, split, ["a", "b"])


def test_parts_of_an_archive_are_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    grey = {"train_images": IMAGES, "validation_images": IMAGES[:5]}
    np.savez(path, test_images=np.zeros((5, 10, 8), np.uint8), **grey)
    with pytest.raises(
        DataError, match="train_images are 8×8 and test_images 10×8: .*--image-size"
    ):
        data.load(str(path))
    assert data.load(str(path), size=6).test.images.shape == (5, 6, 6, 1)
    colours = np.random.default_rng(3).integers(0, 256, (5, 8, 8, 3), np.uint8)
    np.savez(path, test_images=colours, **grey)
    loaded = data.load(str(path))
    assert np.array_equal(loaded.test.images, colours)
    assert np.array_equal(loaded.train.images, np.repeat(IMAGES[..., None], 3, 3))
    assert loaded.validation.images.shape == (5, 8, 8, 3)


def test_classes_have_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="bad: classes has cat twice"):
        save_and_load(tmp_path / "bad.npz", labels=LABELS, classes=np.array(["cat", "dog", "cat"]))


@pytest.mark.parametrize("kind", ["attribute_names", "classes"])
def test_names_are_one_row(tmp_path: Path, kind: str) -> None:
    given = {
        "attributes": np.where(LABELS % 2, 1, -1)[:, None],
        "labels": np.zeros_like(LABELS),
        kind: np.array([["one"]]),
    }
    with pytest.raises(DataError, match=rf"bad.npz: {kind} must be one row of names, got \[1, 1\]"):
        save_and_load(tmp_path / "bad.npz", **given)
    assert save_and_load(tmp_path / "a.npz", **given | {kind: np.array(["one"])}).name == "a"


def test_files_are_read_in_one_place(repository: Path) -> None:
    """Elsewhere an exception of NumPy, Pillow or a decompressor would be a traceback."""
    readers = re.compile(
        r"np\.load\(|Image\.open\(|gzip\.(open|decompress|GzipFile)\(|fromfile\(|ZipFile\(path\)"
    )
    found = {
        path.relative_to(repository).as_posix()
        for folder in ("zoo", "export", "runtime")
        for path in (repository / folder).rglob("*.py")
        if readers.search(path.read_text("utf-8"))
    }
    assert found == {"zoo/images/arrays.py", "zoo/images/pictures.py"}
