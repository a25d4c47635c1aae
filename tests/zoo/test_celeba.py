"""CelebA's layout: reading, cropping, and every malformed line."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import data
from zoo.data import celeba, sets
from zoo.errors import DataError

NAMES = ["5_o_Clock_Shadow", "Eyeglasses", "Male", "Young"]
COUNT = 20


def write_celeba(folder: Path, partition: bool = True, count: int = COUNT) -> np.ndarray:
    """Write 178×218 JPEG pictures and CelebA's tables; return the attributes, ±1 [N, 4]."""
    rng = np.random.default_rng(0)
    table = rng.choice([-1, 1], (count, len(NAMES)))
    (folder / celeba.IMAGES).mkdir(parents=True)
    lines = [str(count), " ".join(NAMES) + " "]
    for index, row in enumerate(table):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 6, 3), np.uint8))
        name = f"{index + 1:06}.jpg"
        coarse.resize((178, 218), Image.Resampling.BICUBIC).save(
            folder / celeba.IMAGES / name, quality=90
        )
        lines.append(f"{name} " + "".join(f"{value:2} " for value in row))
    (folder / celeba.ATTRIBUTES).write_text("\n".join(lines) + "\n")
    if partition:
        parts = [f"{index + 1:06}.jpg {part_of(index)}\n" for index in range(count)]
        (folder / celeba.PARTITION).write_text("".join(parts))
    return table


def part_of(index: int) -> int:
    """Return the part of an image: mostly 0, then 1, then 2."""
    return 0 if index < 12 else 1 if index < 15 else 2


def expected(folder: Path, index: int, size: int) -> np.ndarray:
    """Return a picture's central 178×178, resized, as CelebA is usually cropped."""
    with Image.open(folder / celeba.IMAGES / f"{index + 1:06}.jpg") as picture:
        square = picture.resize((size, size), Image.Resampling.LANCZOS, box=(0, 20, 178, 198))
        return np.asarray(square)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_celeba(tmp_path / "celeba")
    return tmp_path / "celeba"


def test_celeba(tmp_path: Path) -> None:
    folder = tmp_path / "celeba"
    table = write_celeba(folder)
    loaded = data.load(str(folder), size=64)
    assert loaded.name == "celeba" and loaded.attributes == NAMES and loaded.classes == []
    places = range(12), range(12, 15), range(15, 20)
    for split, rows in zip(loaded.parts.values(), places, strict=True):
        assert split.labels is None and split.attributes is not None
        assert split.attributes.dtype == np.int8
        assert np.array_equal(split.attributes, table[rows])
        for image, index in zip(split.images, rows, strict=True):
            assert np.array_equal(image, expected(folder, index, 64))


def test_size_and_channels(folder: Path) -> None:
    whole = data.load(str(folder))
    assert whole.train.images.shape == (12, 178, 178, 3)
    with Image.open(folder / celeba.IMAGES / "000001.jpg") as picture:
        assert np.array_equal(whole.train.images[0], np.asarray(picture)[20:198])
    grey = data.load(str(folder), size=32, channels=1)
    assert grey.train.images.shape == (12, 32, 32, 1) and grey.channels == 1


def test_without_a_partition_a_tenth_is_held_out(tmp_path: Path) -> None:
    table = write_celeba(tmp_path / "set", partition=False)
    loaded = data.load(str(tmp_path / "set"), size=16)
    assert [len(part) for part in loaded.parts.values()] == [16, 2, 2]
    rows = data.Split(np.zeros((COUNT, 1, 1, 1), np.uint8), np.arange(COUNT))
    whole = data.DataSet("rows", *data.split_by_seed(rows))
    for split, part in zip(loaded.parts.values(), whole.parts.values(), strict=True):
        assert part.labels is not None and split.attributes is not None
        assert np.array_equal(split.attributes, table[part.labels])
        for image, index in zip(split.images, part.labels, strict=True):
            assert np.array_equal(image, expected(tmp_path / "set", index, 16))


def test_order_and_line_ends_do_not_matter(folder: Path) -> None:
    first = data.load(str(folder), size=16)
    file = folder / celeba.PARTITION
    lines = file.read_text().splitlines()
    file.write_bytes("\r\n".join(["elsewhere.jpg 1", *reversed(lines)]).encode() + b"\r\n\r\n")
    attributes = folder / celeba.ATTRIBUTES
    attributes.write_bytes(b"\xef\xbb\xbf" + attributes.read_bytes().replace(b"\n", b"\r\n"))
    second = data.load(str(folder), size=16)
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.test.images, second.test.images)


def test_full_pictures_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_celeba(tmp_path / "set", count=100)
    monkeypatch.setattr("zoo.data.pictures.os.cpu_count", lambda: 2)
    alive: set[int] = set()
    most = 0

    def watched(picture: Image.Image, size: int | None, channels: int | None) -> np.ndarray:
        nonlocal most
        alive.add(id(picture))
        weakref.finalize(picture, alive.discard, id(picture))
        most = max(most, len(alive))
        return sets.fit(picture, size, channels)

    monkeypatch.setattr("zoo.data.pictures.fit", watched)
    assert len(data.load(str(tmp_path / "set"), size=8).test) == 85
    assert 1 <= most <= 3 and not alive


def change(file: str, number: int, line: str | None) -> Callable[[Path], None]:
    """Replace line `number` (from 1) of a table by `line`, or remove it."""

    def apply(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        lines[number - 1 : number] = [] if line is None else [line]
        (folder / file).write_text("\n".join(lines) + "\n")

    return apply


def write(file: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes(content) and None


def remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


A, P = celeba.ATTRIBUTES, celeba.PARTITION


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (write(A, b""), f"{A}:1: expected the number of images, got ''"),
        (write(A, b"20"), f"{A}:2: expected the names of the attributes, got ''"),
        (write(A, b"0\nHat\n"), f"{A}:1: the data set has no images"),
        (write(A, b"\xff\xfe1"), f"cannot read .*{A}: .*utf-8"),
        (change(A, 1, "twenty"), f"{A}:1: expected the number of images, got 'twenty'"),
        (change(A, 1, "-20"), f"{A}:1: expected the number of images, got '-20'"),
        (change(A, 1, "21"), f"{A}:1: announces 21 images, but 20 lines follow"),
        (change(A, 1, None), f"{A}:1: expected the number of images, got '5_o_Clock_Shadow"),
        (change(A, 2, None), f"{A}:2: expected the names of the attributes, got '000001"),
        (change(A, 2, ""), f"{A}:2: expected the names of the attributes, got ''"),
        (change(A, 2, "Hat Male Hat Young"), f"{A}:2: duplicate attribute Hat"),
        (change(A, 5, None), f"{A}:1: announces 20 images, but 19 lines follow"),
        (change(A, 5, "000003.jpg 1 1 1"), f"{A}:5: .* and 4 values, got 3 values"),
        (change(A, 5, "000003.jpg 1 1 1 1 1"), f"{A}:5: .* and 4 values, got 5 values"),
        (change(A, 5, ""), f"{A}:5: .* and 4 values, got 0 values"),
        (change(A, 5, "000003.jpg 1 0 1 1"), f"{A}:5: expected values 1 and -1, got '0'"),
        (change(A, 5, "000003.jpg 1 1 yes 1"), f"{A}:5: expected values 1 and -1, got 'yes'"),
        (change(A, 5, "000002.jpg 1 1 1 1"), f"{A}:5: 000002.jpg has a line already"),
        (change(A, 5, "3.jpg 1 1 1 1"), f"{A}:5: there is no picture .*3.jpg"),
        (change(A, 5, f"../{P} 1 1 1 1"), f"{A}:5: there is no picture"),
        (remove(f"{celeba.IMAGES}/000014.jpg"), f"{A}:16: there is no picture .*000014.jpg"),
        (write(P, b""), f"{P}:1: expected a file name and a part, got ''"),
        (change(P, 4, "000004.jpg"), f"{P}:4: expected a file name and a part, got '000004.jpg'"),
        (change(P, 4, "000004.jpg 0 0"), f"{P}:4: expected a file name and a part"),
        (change(P, 4, "000004.jpg 3"), f"{P}:4: expected part 0 .train.*, got '3'"),
        (change(P, 4, "000004.jpg -1"), f"{P}:4: expected part 0 .train.*, got '-1'"),
        (change(P, 4, "000003.jpg 0"), f"{P}:4: 000003.jpg has a line already"),
        (change(P, 4, None), f"{A}:6: 000004.jpg has no line in .*{P}"),
    ],
)
def test_what_does_not_fit(folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(DataError, match=message) as caught:
        data.load(str(folder), size=16)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("part", "name"), [(0, "0, train"), (2, "2, test")])
def test_empty_part(folder: Path, part: int, name: str) -> None:
    file = folder / P
    file.write_text(file.read_text().replace(f".jpg {part}\n", ".jpg 1\n"))
    with pytest.raises(DataError, match=f"{P} puts no image into part {name}"):
        data.load(str(folder))


def test_folder_without_pictures(folder: Path) -> None:
    (folder / celeba.IMAGES).rename(folder / "img")
    with pytest.raises(DataError, match="cannot read the folder .*img_align_celeba: No such file"):
        data.load(str(folder))


def test_a_broken_picture_is_left_out_with_its_attributes(tmp_path: Path) -> None:
    folder = tmp_path / "celeba"
    table = write_celeba(folder)
    for name, content in (("000001.jpg", b"no"), ("000018.jpg", None)):
        file = folder / celeba.IMAGES / name
        file.write_bytes(content or file.read_bytes()[:1000])
    assert celeba.peek(folder) == (178, 178, 3)
    loaded = data.load(str(folder), size=16)
    rows = list(range(1, 12)), [15, 16, 18, 19]
    for split, kept in zip((loaded.train, loaded.test), rows, strict=True):
        assert np.array_equal(split.attributes, table[kept])
        for image, index in zip(split.images, kept, strict=True):
            assert np.array_equal(image, expected(folder, index, 16))
    assert [Path(name).name for name, _ in loaded.skipped] == ["000001.jpg", "000018.jpg"]


def test_wrong_size_is_seen_on_one_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command must not read 200,000 pictures to find that the first has the wrong size."""
    from zoo.inference.inputs import load_data

    write_celeba(tmp_path)
    assert celeba.peek(tmp_path) == (178, 178, 3)
    assert celeba.peek(tmp_path / celeba.IMAGES) is None
    read: list[object] = []
    monkeypatch.setattr(celeba, "read_parts", lambda *arguments: read.append(arguments))
    with pytest.raises(DataError, match=r"images of 178×178×3, but the engine takes 64×64×3 \("):
        load_data(str(tmp_path), (64, 64, 3))
    assert not read
