"""Data sets of image pairs, and edge detection."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pictures import save_pictures
from zoo import corruption, data
from zoo.corruption.edges import THRESHOLD, edges
from zoo.data import DataSet, Split, faces
from zoo.data.pairs import is_pairs, make_pairs
from zoo.data.sets import add_frame, resize, split_by_seed
from zoo.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    """20 drawn faces of 32×32."""
    return faces.make(0, 20, size=32)[0]


def step(low: int, high: int, column: int = 8) -> np.ndarray:
    """Return a grey 16×16 image with one vertical step."""
    image = np.full((1, 16, 16, 1), low, np.uint8)
    image[:, :, column:] = high
    return image


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_plain_image_has_no_edges(level: int) -> None:
    assert (edges(np.full((2, 9, 12, 3), level, np.uint8)) == 255).all()


def test_a_step_is_a_line_where_it_is_steep_enough() -> None:
    needed = THRESHOLD // 4
    lines = edges(step(100, 100 + needed))[0, ..., 0]
    assert (lines[:, 7:9] == 0).all() and (np.delete(lines, (7, 8), axis=1) == 255).all()
    assert (edges(step(100, 100 + needed - 1)) == 255).all()
    assert np.array_equal(edges(step(100 + needed, 100)), edges(step(100, 100 + needed)))


def test_edges_turn_and_mirror_with_the_image(drawn: np.ndarray) -> None:
    found = edges(drawn)
    for change in (
        lambda x: x[:, :, ::-1],
        lambda x: x[:, ::-1],
        lambda x: x.transpose(0, 2, 1, 3),
        lambda x: np.rot90(x, axes=(1, 2)),
    ):
        assert np.array_equal(edges(np.ascontiguousarray(change(drawn))), change(found))


def test_edges_are_the_ridges_of_the_sobel_magnitude(drawn: np.ndarray) -> None:
    grey = corruption.grey(drawn)
    for image, lines in zip(grey[..., 0], edges(grey)[..., 0] == 0, strict=True):
        x, y = (
            cv2.Sobel(image, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REPLICATE)
            for dx in (1, 0)
        )
        steep = np.hypot(x, y)
        assert (steep[lines] >= THRESHOLD).all()
        # The steepest pixel of a neighbourhood is as steep as any neighbour, whatever the way.
        highest = steep >= cv2.dilate(steep, np.ones((3, 3)))
        assert lines[highest & (steep >= THRESHOLD)].all()


def test_edges_of_an_image_do_not_depend_on_the_others(drawn: np.ndarray) -> None:
    together = edges(drawn)
    assert together.shape == (20, 32, 32, 1) and set(np.unique(together)) == {0, 255}
    assert np.array_equal(edges(drawn[3:4]), together[3:4])
    assert edges(drawn[:0]).shape == (0, 32, 32, 1)


def test_edges_of_colours_of_one_luma() -> None:
    image = step(0, 0).repeat(3, 3)
    image[:, :, :8], image[:, :, 8:] = (200, 0, 0), (0, 102, 0)
    assert np.ptp(corruption.grey(image)) < 2
    assert (edges(image)[0, :, 7:9] == 0).all()


@pytest.mark.parametrize("bad", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 1))])
def test_edges_of_something_else(bad: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"edges: expected uint8 \[n, H, W, C\], got"):
        edges(bad)


@pytest.fixture
def folders(tmp_path: Path, drawn: np.ndarray) -> tuple[Path, Path]:
    """A folder of edges, and a folder of faces with the same names."""
    save_pictures(tmp_path / "a", edges(drawn), names="{:03}")
    save_pictures(tmp_path / "b", drawn, names="{:03}")
    return tmp_path / "a", tmp_path / "b"


def test_two_folders(folders: tuple[Path, Path], drawn: np.ndarray) -> None:
    a, b = folders
    (a / "003.png").rename(a / "003.bmp")  # Pillow goes by what is in the file.
    loaded = data.load(f"{a}:{b}")
    assert loaded.name == "a-b" and (len(loaded.seen), len(loaded.test)) == (18, 2)
    for split in loaded.parts.values():
        assert split.inputs is not None and split.inputs.shape[3] == 1
        assert np.array_equal(split.inputs, edges(split.images))
    both = np.concatenate([part.images for part in loaded.parts.values()])
    assert sorted(map(bytes, both)) == sorted(map(bytes, drawn))
    again = data.load(f"{a}:{b}", size=16, channels=1)
    assert again.train.images.shape == (16, 16, 16, 1)
    assert again.train.inputs is not None and again.train.inputs.shape == (16, 16, 16, 1)


def test_side_by_side(tmp_path: Path, drawn: np.ndarray) -> None:
    both = np.concatenate([drawn, 255 - drawn], axis=2)
    rows = {"train": slice(12), "validation": slice(12, 15), "test": slice(15, 20)}
    for name, place in rows.items():
        folder = tmp_path / ("val" if name == "validation" else name)
        save_pictures(folder, both[place], names="{:03}")
    loaded = data.load(f"pairs:{tmp_path}")
    for name, place in rows.items():
        split = loaded.parts[name]
        assert split.inputs is not None and np.array_equal(split.inputs, drawn[place])
        assert np.array_equal(split.images, 255 - drawn[place])


def test_direction(tmp_path: Path, drawn: np.ndarray) -> None:
    save_pictures(tmp_path, np.concatenate([drawn, 255 - drawn], axis=2), names="{:03}")
    loaded = data.load(f"pairs:{tmp_path}")
    assert make_pairs(loaded, "pairs") is loaded
    back = make_pairs(loaded, "pairs", "BtoA")
    assert back.train.inputs is loaded.train.images and back.train.images is loaded.train.inputs


def test_pictures_that_are_not_square(tmp_path: Path, drawn: np.ndarray) -> None:
    wide = np.concatenate([drawn[:1], drawn[1:2]], axis=2)
    save_pictures(tmp_path / "a", np.concatenate([wide] * 10), names="{:03}")
    save_pictures(tmp_path / "b", np.concatenate([255 - wide] * 10), names="{:03}")
    loaded = data.load(f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    centre = wide[:, :, 16:48]
    assert loaded.train.inputs is not None
    assert np.array_equal(loaded.train.inputs[:1], centre)
    assert np.array_equal(loaded.train.images[:1], 255 - centre)


def test_missing_counterparts_are_named(folders: tuple[Path, Path]) -> None:
    a, b = folders
    (b / "004.png").unlink()
    with pytest.raises(DataError, match=r"/b has no counterpart of 004\.png$"):
        data.load(f"{a}:{b}")
    for index in range(4, 13):
        (a / f"{index:03}.png").unlink()
    with pytest.raises(DataError, match=r"/a has no counterpart of 005\.png, .* and 3 more$"):
        data.load(f"{a}:{b}")


def test_pairs_of_two_sizes_are_named(folders: tuple[Path, Path]) -> None:
    a, b = folders
    Image.new("L", (32, 30)).save(a / "007.png")
    with pytest.raises(DataError, match=r"007\.png has 32×30 pixels and .*b/007\.png 32×32"):
        data.load(f"{a}:{b}")


def test_an_odd_width_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (64, 32)).save(tmp_path / "a.png")
    Image.new("RGB", (63, 32)).save(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png: expected two pictures .* even width, got 63"):
        data.load(f"pairs:{tmp_path}")


def test_unreadable(folders: tuple[Path, Path], drawn: np.ndarray) -> None:
    a, b = folders
    (b / "002.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    loaded = data.load(f"{a}:{b}")
    assert [name for name, _ in loaded.skipped] == [f"{b}/002.png"]
    kept = np.concatenate([part.images for part in loaded.parts.values()])
    assert sorted(map(bytes, kept)) == sorted(map(bytes, np.delete(drawn, 2, axis=0)))
    for split in loaded.parts.values():
        assert np.array_equal(split.inputs, edges(split.images))


def test_bad_names(folders: tuple[Path, Path], tmp_path: Path) -> None:
    a, b = folders
    (tmp_path / "none").mkdir()
    for name, message in (
        (f"{a}:{tmp_path / 'missing'}", "missing is not a folder"),
        (f"{a}:{b}:{b}", "expected A_FOLDER:B_FOLDER"),
        (f"{a}:", "expected A_FOLDER:B_FOLDER"),
        (f"{a}:{tmp_path / 'none'}", "none holds no pictures"),
        (f"pairs:{tmp_path / 'none'}", "none holds no pictures"),
        (f"pairs:{tmp_path / 'missing'}", "missing is not a folder"),
    ):
        with pytest.raises(DataError, match=message):
            data.load(name)
    save_pictures(tmp_path / "c" / "train", faces.make(0, 2, 32)[0], names="{:03}")
    save_pictures(tmp_path / "c" / "test", faces.make(0, 2, 32)[0], names="{:03}")
    with pytest.raises(DataError, match="a is not split and .*c is split into test, train: expect"):
        data.load(f"{a}:{tmp_path / 'c'}")
    odd = tmp_path / "a:b"
    odd.mkdir()
    assert not is_pairs(str(odd)) and not is_pairs("faces") and is_pairs("x:y")


@pytest.fixture
def singles(drawn: np.ndarray) -> DataSet:
    return DataSet("faces", Split(drawn[:15]), Split(drawn[15:]))


def test_inputs_drawn_from_images(singles: DataSet) -> None:
    for task, draw in (("edges", edges), ("colour", corruption.grey)):
        made = make_pairs(singles, task)
        for split in (made.train, made.test):
            assert split.inputs is not None and np.array_equal(split.inputs, draw(split.images))


def test_data_that_do_not_fit_the_task(singles: DataSet) -> None:
    with pytest.raises(ConfigError, match="needs data of pairs.*faces holds single images"):
        make_pairs(singles, "pairs")
    with pytest.raises(ConfigError, match="holds pairs, but the task edges .* task=pairs"):
        make_pairs(make_pairs(singles, "colour"), "edges")
    grey = DataSet("grey", *(Split(s.images[..., :1]) for s in (singles.train, singles.test)))
    with pytest.raises(ConfigError, match="3 channels; grey has 1"):
        make_pairs(grey, "colour")


def test_inputs_stay_with_their_images(drawn: np.ndarray) -> None:
    labels = np.arange(20) % 2
    whole = Split(drawn, labels, inputs=255 - drawn)
    for part in split_by_seed(whole, 0.25, seed=3):
        assert part.inputs is not None and np.array_equal(part.inputs, 255 - part.images)
    loaded = DataSet("x", whole, whole, ["even", "odd"]).without(["odd"])
    assert loaded.seen.inputs is not None and np.array_equal(loaded.seen.labels, np.zeros(10))
    assert sorted(map(bytes, loaded.seen.inputs)) == sorted(map(bytes, 255 - drawn[::2]))
    small = resize(Split(drawn, inputs=corruption.grey(drawn)), 16, 1)
    assert small.inputs is not None and small.inputs.shape == (20, 16, 16, 1)
    bordered = add_frame(whole, 2).inputs
    assert bordered is not None and np.array_equal(bordered[:, 2:-2, 2:-2], 255 - drawn)


@pytest.mark.parametrize(
    "inputs",
    [np.zeros((19, 32, 32, 1), np.uint8), np.zeros((20, 16, 16, 1), np.uint8), np.zeros((20, 32))],
)
def test_inputs_of_another_shape(drawn: np.ndarray, inputs: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"inputs must be uint8 \[20, 32, 32, 'C'\], got"):
        Split(drawn, inputs=inputs)
