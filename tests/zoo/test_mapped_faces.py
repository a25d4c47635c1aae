"""Data sets of any number of drawn faces: mapped into memory, or drawn during training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo import data
from zoo.data import drawing, drawn_names, faces, mapped_faces
from zoo.errors import DataError, OutputError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the files, not yet created; `faces` has 40 faces."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(faces, "COUNT", 40)
    monkeypatch.setattr(faces, "VALIDATION", 6)
    return tmp_path / "generator-zoo" / f"faces-{faces.versions()}-64px"


def test_faces_are_those_of_the_set_and_then_others(cache: Path) -> None:
    found = data.load("faces:50")
    drawn = faces.make(0, 54)
    held_out = [9, 19, 29, 39]
    rows = [row for row in range(54) if row not in held_out]
    assert isinstance(found.train.images, np.memmap)
    assert np.array_equal(found.train.images, drawn[0][rows])
    assert np.array_equal(found.train.attributes, drawn[1][rows])  # type: ignore[arg-type]
    assert np.array_equal(found.test.images, drawn[0][held_out])
    assert found.attributes == list(faces.ATTRIBUTES)
    small = data.load("faces")
    assert np.array_equal(small.train.images, found.train.images[:36])
    assert np.array_equal(small.test.images, found.test.images)
    for loaded in (small, found, data.load("faces", size=80)):
        chosen_by = faces.make(0, 6, loaded.image_size, seed=2)
        assert np.array_equal(loaded.validation.images, chosen_by[0])
        assert np.array_equal(loaded.validation.attributes, chosen_by[1])


def test_a_larger_file_serves_a_smaller_set(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = data.load("faces:30")

    def never(*arguments: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(mapped_faces, "_write", never)
    part = data.load("faces:20")
    assert len(part.train) == 20
    assert np.array_equal(part.train.images, whole.train.images[:20])


def test_changing_an_image_leaves_the_file_alone(cache: Path) -> None:
    first = data.load("faces:10")
    kept = first.train.images.copy()
    first.train.images[:] = 0
    assert np.array_equal(data.load("faces:10").train.images, kept)


def test_larger_faces_are_drawn_so(cache: Path) -> None:
    found = data.load("faces", size=80)
    assert found.train.images.shape == (36, 80, 80, 3)
    drawn = faces.make(0, 40, 80)
    assert np.array_equal(found.test.images, drawn[0][9::10])
    assert np.array_equal(found.test.attributes, drawn[1][9::10])  # type: ignore[arg-type]
    assert np.array_equal(found.train.images[:9], drawn[0][:9])
    grey = data.load("faces", size=32, channels=1)
    assert grey.train.images.shape == (36, 32, 32, 1) and grey.attributes == found.attributes
    assert data.load("faces:10", size=32).image_size == 32


@pytest.mark.parametrize("damage", ["shorter", "empty", "no attributes"])
def test_damaged_files_are_made_again(cache: Path, damage: str) -> None:
    kept = data.load("faces:10").train.images.copy()
    (path,) = cache.glob("train-*.npy")
    if damage == "no attributes":
        path.with_suffix(".attributes").unlink()
    else:
        content = path.read_bytes()
        path.write_bytes(content[:-5] if damage == "shorter" else b"")
    assert np.array_equal(data.load("faces:10").train.images, kept)


@pytest.mark.parametrize("count", ["", "9", "-10", "1e3", "١٢٣", "ten", "100000000"])
def test_counts_that_are_none(cache: Path, count: str) -> None:
    with pytest.raises(DataError, match=f"faces:{count}.*from 10 to 10,000,000"):
        data.load(f"faces:{count}")


def test_folder_that_cannot_be_written(cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        data.load("faces:10")


def test_interrupted_drawing_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.load("faces")
    monkeypatch.setattr(drawing, "_BLOCK", 8)
    draw = faces.draw_indices

    def broken(*arguments: object, **options: object) -> object:
        blocks = draw(*arguments, **options)  # type: ignore[arg-type]
        yield next(blocks)
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "draw_indices", broken)
    with pytest.raises(KeyboardInterrupt):
        data.load("faces:30")
    assert not list(cache.iterdir())


# Other seeds


def test_faces_of_another_seed(cache: Path) -> None:
    found = data.load("faces:12@5")
    drawn = faces.make(0, 12, seed=5)
    assert np.array_equal(found.train.images, drawn[0])
    assert np.array_equal(found.train.attributes, drawn[1])  # type: ignore[arg-type]
    assert np.array_equal(found.test.images, data.load("faces").test.images)
    assert len(data.load("faces@5").train) == 36
    assert np.array_equal(data.load("faces:12").train.images[:9], faces.make(0, 9)[0])
    assert data.find_named("faces:12@5") == "faces" and data.find_named("faces:endless") == "faces"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("faces:12@", "expected faces:COUNT@SEED, a seed from 0"),
        ("faces@-1", "a seed from 0"),
        ("faces:12@18446744073709551616", "a seed from 0"),
        ("faces:12@2", "seed 2 draws faces to measure with"),
        ("faces:endless@3", "seed 3 draws faces to measure with"),
        ("faces:Endless", "or faces:endless"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        drawn_names.parse(name)


def test_reference_faces_are_of_a_seed_of_their_own(cache: Path) -> None:
    found = mapped_faces.reference(12, 64)
    assert np.array_equal(found.images, faces.make(0, 12, seed=drawn_names.REFERENCE_SEED)[0])


# Endless


@pytest.mark.parametrize(("name", "seed"), [("faces:endless", 0), ("faces:endless@5", 5)])
def test_endless_faces_continue_the_set(cache: Path, name: str, seed: int) -> None:
    """Image k is training image k of a large set, from any position, and never a held-out one."""
    endless = data.load(name)
    assert endless.summary().startswith(f"{name}: endless training, 6 validation and 4 test")
    whole = data.load(f"faces:60@{seed}").train
    assert np.array_equal(endless.train.images, whole.images[:36])
    assert endless.stream is not None
    for first, step, count in ((0, 1, 8), (31, 2, 5)):
        stream = endless.stream(first, step, count)
        for start in range(first, first + 2 * step * count, step * count):
            rows = slice(start, start + step * count, step)
            block = next(stream)
            assert np.array_equal(block.images, whole.images[rows])
            assert np.array_equal(block.attributes, whole.attributes[rows])  # type: ignore[index,arg-type]
        stream.close()


def test_endless_faces_of_another_shape(cache: Path) -> None:
    grey = data.load("faces:endless", size=16, channels=1)
    assert grey.stream is not None
    stream = grey.stream(0, 1, 3)
    assert np.array_equal(next(stream).images, grey.train.images[:3])
    stream.close()
