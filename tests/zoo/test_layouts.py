"""Layouts of picture folders: recognised and refused ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import data
from zoo.errors import DataError
from zoo.images.pictures import list_pictures


def save(folder: Path, count: int, level: int = 0, mode: str = "L", side: int = 8) -> None:
    """Write pictures of grey levels `level`, `level + 1`, …."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("L", (side, side), level + index).convert(mode).save(folder / f"{index:02}.png")


def levels(split: data.Split) -> list[int]:
    return split.images[:, 0, 0, 0].tolist()


def test_pictures_come_by_name_and_hidden_ones_do_not(tmp_path: Path) -> None:
    for name in ("b.png", "A.JPG", "a/z.gif", "a/b/c.webp", "B/x.Tiff", "notes.txt", "a.png.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = ["A.JPG", "b.png", "B/x.Tiff", "a/z.gif", "a/b/c.webp"]
    assert list_pictures(tmp_path) == expected
    for name in ("._b.png", ".zoo-1-abcd.part/0.png", ".ipynb_checkpoints/b.png", "a/.x/y.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list_pictures(tmp_path) == expected
    # Named by itself, a hidden folder is looked into.
    assert list_pictures(tmp_path / ".ipynb_checkpoints") == ["b.png"]


def test_linked_folders_are_looked_into_but_not_in_circles(tmp_path: Path) -> None:
    save(tmp_path / "real" / "a", 2)
    (tmp_path / "links").mkdir()
    for name in ("x", "y"):
        (tmp_path / "links" / name).symlink_to("../real/a")
    assert list_pictures(tmp_path / "links") == ["x/00.png", "x/01.png", "y/00.png", "y/01.png"]
    (tmp_path / "real" / "up").symlink_to("..")
    (tmp_path / "real" / "self").symlink_to(".")
    (tmp_path / "real" / "a" / "back").symlink_to("../../links")
    (tmp_path / "real" / "round").symlink_to("round")
    # links/x/back would be links again.
    assert list_pictures(tmp_path / "links") == ["x/00.png", "x/01.png", "y/00.png", "y/01.png"]
    assert list_pictures(tmp_path / "real") == ["a/00.png", "a/01.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"cannot read {tmp_path}/none: No such file"):
        list_pictures(tmp_path / "none")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "TEST"),
        ("training", "testing"),
        ("train", "val"),
        ("TRAIN", "Valid"),
        ("Training", "validation"),
    ],
)
def test_names_of_parts(tmp_path: Path, train: str, test: str) -> None:
    """Without a test part, the validation part is the test part."""
    for level, name in enumerate(("cat", "dog")):
        save(tmp_path / train / name, 20, 100 * level)
        save(tmp_path / test / name, 3, 100 * level + 50)
    loaded = data.load(str(tmp_path))
    assert loaded.classes == ["cat", "dog"]
    assert levels(loaded.test) == [50, 51, 52, 150, 151, 152]
    assert loaded.test.labels is not None and loaded.test.labels.tolist() == [0] * 3 + [1] * 3
    assert set(levels(loaded.train)) <= {*range(20), *range(100, 120)}
    assert np.array_equal(loaded.train.labels, loaded.train.images[:, 0, 0, 0] // 100)


@pytest.mark.parametrize("name", ["val", "Valid", "validation"])
def test_a_validation_part_is_its_own_beside_a_test(tmp_path: Path, name: str) -> None:
    for level, part in enumerate(("train", name, "test")):
        save(tmp_path / part / "cat", 5 + level, 50 * level)
    loaded = data.load(str(tmp_path))
    assert levels(loaded.train) == list(range(5))
    assert levels(loaded.validation) == list(range(50, 56))
    assert levels(loaded.test) == list(range(100, 107))


def test_a_training_part_alone_and_parts_in_one_folder(tmp_path: Path) -> None:
    save(tmp_path / "wrapped" / "photos" / "train" / "cat", 20)
    loaded = data.load(str(tmp_path / "wrapped"))
    assert loaded.classes == ["cat"] and len(loaded.test) == 2
    save(tmp_path / "wrapped" / "photos" / "test" / "cat", 3, 100)
    loaded = data.load(str(tmp_path / "wrapped"))
    assert loaded.classes == ["cat"] and levels(loaded.test) == [100, 101, 102]
    (tmp_path / "wrapped" / "__MACOSX" / "photos").mkdir(parents=True)
    (tmp_path / "wrapped" / "__MACOSX" / "photos" / "._00.png").touch()
    assert data.load(str(tmp_path / "wrapped")).classes == ["cat"]


UNCLEAR = {
    "pictures beside classes": (["", "cat"], "holds cat/ and 12 pictures next to each other: expe"),
    "pictures beside parts": (
        ["train", "test", ""],
        "test/, train/ and 12 pictures next to each other",
    ),
    "folders beside parts": (["train", "test", "cat"], "test/, train/ and cat/ next to each other"),
    "two names of a part": (["train", "Training", "test"], "Training/ and train/, which mean the"),
    "no training part": (["test", "cat"], "holds test/ and cat/ next to each other"),
    "only tests": (["test", "val"], "holds test/, val/ and no train/: expected"),
    "no classes in the test": (
        ["train/cat", "test"],
        "train holds cat/ and .*test holds no folders: expected classes in both",
    ),
    "classes in the test only": (["train", "test/cat"], "train holds no folders and .*test holds"),
    "a class in the test only": (
        ["train/cat", "test/eel"],
        "test holds eel/, missing from .*train",
    ),
    "a class in another case": (["train/cat", "test/Cat"], "test holds Cat/, missing from .*train"),
    "pictures beside the test's classes": (
        ["train/cat", "test/cat", "test"],
        "test holds cat/ and 12 pictures next to each other",
    ),
    "parts in classes": (["cat/train", "cat/test", "dog/train"], "holds cat/ with its own parts"),
    "other names of parts": (["train_images", "TEST2"], "holds TEST2/, train_images/, which are"),
    "years of parts": (
        ["train2017", "val2017", "dog"],
        "holds train2017/, val2017/, which are part",
    ),
    "one folder of folders": (
        ["photos/cat", "photos/dog"],
        "with cat/, dog/ in it: .*give .*photos",
    ),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_unclear_layouts_are_refused(tmp_path: Path, name: str) -> None:
    folders, message = UNCLEAR[name]
    for folder in folders:
        save(tmp_path / folder, 12)
    with pytest.raises(DataError, match=message) as raised:
        data.load(str(tmp_path))
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


def test_classes_may_begin_like_parts(tmp_path: Path) -> None:
    names = ["trainer", "testudo", "valve", "train_station"]
    for name in names:
        save(tmp_path / name, 12)
    assert data.load(str(tmp_path)).classes == sorted(names)


def test_pairs_of_one_name_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", 12)
    save(tmp_path / "b", 12)
    Image.new("L", (8, 8)).save(tmp_path / "a" / "03.bmp")
    with pytest.raises(DataError, match="a holds both 03.bmp and 03.png"):
        data.load(f"{tmp_path / 'a'}:{tmp_path / 'b'}")


def test_pairs_have_the_same_parts(tmp_path: Path) -> None:
    for part, level in (("Training", 0), ("valid", 90)):
        save(tmp_path / "a" / part, 12, level)
        save(tmp_path / "b" / part.lower(), 12, level + 100)
    loaded = data.load(f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    assert levels(loaded.test) == list(range(190, 202))
    assert loaded.test.inputs is not None
    assert loaded.test.inputs[:, 0, 0, 0].tolist() == list(range(90, 102))
    save(tmp_path / "a" / "extra", 1)
    with pytest.raises(DataError, match="a holds Training/, valid/ and extra/ next to each other"):
        data.load(f"{tmp_path / 'a'}:{tmp_path / 'b'}")


def test_colour_anywhere_is_colour_everywhere(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a", 3)
    save(tmp_path / "test" / "a", 2, 60)
    save(tmp_path / "train" / "b", 9, 100, mode="RGB")
    Image.new("RGB", (8, 8), (200, 10, 20)).save(tmp_path / "train" / "b" / "00.png")
    loaded = data.load(str(tmp_path))
    assert loaded.train.images.shape[3] == loaded.test.images.shape[3] == 3
    assert [60] * 3 in loaded.test.images[:, 0, 0].tolist()
    everything = loaded.seen.images[:, 0, 0].tolist()
    assert [1, 1, 1] in everything and [200, 10, 20] in everything
    assert data.load(str(tmp_path), channels=1).train.images.shape[3] == 1


def test_several_sizes_need_a_size(tmp_path: Path) -> None:
    save(tmp_path / "a", 1, side=4)
    save(tmp_path / "b", 19)
    with pytest.raises(DataError, match=r"a/00.png gives 4×4 .*b/00.png 8×8: .*--image-size"):
        data.load(str(tmp_path))
    assert data.load(str(tmp_path), size=6).train.images.shape[1:] == (6, 6, 1)
