"""Data sets of any number of drawn faces, mapped into memory: `faces:COUNT`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo import data
from zoo.data import faces, mapped_faces
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
    monkeypatch.setattr(faces, "_BLOCK", 8)
    stream = faces.stream

    def broken(*arguments: object, **options: object) -> object:
        blocks = stream(*arguments, **options)  # type: ignore[arg-type]
        yield next(blocks)
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "stream", broken)
    with pytest.raises(KeyboardInterrupt):
        data.load("faces:30")
    assert not list(cache.iterdir())
