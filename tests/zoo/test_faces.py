"""The drawn faces: reproducibility, visible attributes, the cache, and `zoo.faces`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import shell
from zoo import data
from zoo.data import drawing, faces
from zoo.data.styles import AVATAAARS
from zoo.errors import DataError, OutputError

MANY = 2_000


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Faces 0 … 1999 of seed 0."""
    return faces.make(0, MANY)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set `faces` of only 40 + 6 faces; returns its cache folder, not yet created."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(faces, "COUNT", 40)
    monkeypatch.setattr(faces, "VALIDATION", 6)
    return tmp_path / "cache" / "generator-zoo"


# The drawing


def test_known_faces(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    # Of the package versions in constraints.txt; other ones may draw other pixels.
    images, attributes = drawn
    assert [hashlib.sha256(image.tobytes()).hexdigest() for image in images[:3]] == [
        "678df855ed5935755b31a948b6cbb6dc7f48da8254cc7e6c587022782323104f",
        "89d449e647e5a45b3cb994735793a7b00a67377d977e0bde4516b61c4213f99c",
        "cea9d515a2769066600b1c2fd1c3111d1f3f7704c7d3e317e63ea4f64d5f19b6",
    ]
    assert hashlib.sha256(attributes[:3].tobytes()).hexdigest() == (
        "7b3e5836712b13d5a176a3b589dc596628e534a80d8d2c01d35c20a431908df9"
    )
    last, _ = faces.make(2**64 - 1, 1, 32, 2**64 - 1)
    assert hashlib.sha256(last.tobytes()).hexdigest() == (
        "112bab2a33df256e87af98ab3003a42437920b3c453683e77619d05429da810e"
    )


def test_a_face_depends_on_seed_and_index_alone(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    images, attributes = drawn
    for first, count, processes in ((0, 7, 1), (5, 1, None), (120, 130, 2), (301, 260, 3)):
        part = faces.make(first, count, processes=processes)
        assert np.array_equal(part[0], images[first : first + count])
        assert np.array_equal(part[1], attributes[first : first + count])
    other, _ = faces.make(0, 20, seed=1)
    assert not any(np.array_equal(*pair) for pair in zip(other, images, strict=False))


def test_nothing_is_transparent() -> None:
    renderer = faces.Renderer()
    for index in range(20):
        face = AVATAAARS.describe(3, index)
        (background,) = face.options["backgroundColor"]  # type: ignore[misc]
        picture = renderer.render(face, 64)
        # The lower corners are never covered by hair and seldom by a hijab; one suffices.
        corners = {bytes(picture[y, x]).hex() for y in (0, 50, 63) for x in (0, 63)}
        assert background[1:] in corners


def test_larger_faces_are_the_same_drawing() -> None:
    small, large = (faces.make(0, 4, size)[0] for size in (32, 128))
    for one, other in zip(small, large, strict=True):
        halved = Image.fromarray(other).resize((32, 32), Image.Resampling.BOX)
        assert np.abs(np.asarray(halved, float) - one).mean() < 4


# Attributes


def test_attributes_are_neither_rare_nor_common(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    attributes = drawn[1]
    assert attributes.shape == (MANY, len(faces.ATTRIBUTES)) and attributes.dtype == np.int8
    assert len(faces.ATTRIBUTES) >= 20 and set(np.unique(attributes)) == {-1, 1}
    rows = [AVATAAARS.row(AVATAAARS.describe(0, index)) for index in range(20_000)]
    shares = dict(zip(faces.ATTRIBUTES, (np.stack(rows) > 0).mean(0), strict=True))
    assert {name: share for name, share in shares.items() if not 0.1 <= share <= 0.6} == {}


def test_attributes_that_exclude_each_other(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    columns = dict(zip(faces.ATTRIBUTES, (drawn[1] > 0).T, strict=True))
    colours = [columns[name] for name in faces.ATTRIBUTES if name.endswith("_Hair")][3:]
    assert len(colours) == 6
    hidden = columns["Bald"] | columns["Wearing_Hat"] | columns["Wearing_Headscarf"]
    assert np.array_equal(sum(map(np.int64, colours)), 1 - hidden)
    eyes = [columns[name] for name in ("Eyes_Closed", "Wink", "Wide_Eyes", "Heart_Eyes")]
    assert not (columns["Sunglasses"] & np.any(eyes, 0)).any()
    for one, other in (
        ("Eyeglasses", "Sunglasses"),
        ("Beard", "Mustache"),
        ("Long_Hair", "Short_Hair"),
        ("Pale_Skin", "Dark_Skin"),
        ("Smiling", "Frowning"),
        ("Mouth_Open", "Frowning"),
        ("Angry_Brows", "Sad_Brows"),
    ):
        assert not (columns[one] & columns[other]).any(), (one, other)
    for index in range(MANY):
        face = AVATAAARS.describe(0, index)
        if face.options.get("topVariant") == ["hijab"]:
            assert face.options["facialHairProbability"] == 0


def test_other_attributes_are_independent() -> None:
    rows = np.stack([AVATAAARS.row(AVATAAARS.describe(0, index)) for index in range(5_000)])
    columns = dict(zip(faces.ATTRIBUTES, rows.T, strict=True))
    for one, other in (
        ("Smiling", "Eyeglasses"),
        ("Beard", "Long_Hair"),
        ("Dark_Skin", "Black_Hair"),
        ("Pale_Skin", "Smiling"),
        ("Angry_Brows", "Frowning"),
        ("Eyes_Closed", "Mouth_Open"),
    ):
        assert abs(np.corrcoef(columns[one], columns[other])[0, 1]) < 0.06, (one, other)


def test_every_attribute_shows_in_the_pixels(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    """Ridge regression on 1,400 pictures predicts each attribute of the other 600."""
    images, attributes = drawn
    known = 1_400
    pixels = images.reshape(MANY, -1).astype(np.float32) / 255
    pixels -= pixels[:known].mean(0)
    kernel = pixels @ pixels[:known].T
    targets = attributes[:known] - attributes[:known].mean(0)
    scores = kernel[known:] @ np.linalg.solve(kernel[:known] + 30 * np.eye(known), targets)
    for name, score, truth in zip(faces.ATTRIBUTES, scores.T, attributes[known:].T, strict=True):
        # The area under the ROC curve: how often one with it scores more than one without.
        area = (score[truth > 0][:, None] > score[truth < 0]).mean()
        assert area > 0.8, (name, area)


# The data set


def test_faces_are_drawn_once(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.load("faces")
    files = sorted(small.iterdir())
    assert len(files) == 2 and all(faces.versions() in file.name for file in files)
    with monkeypatch.context() as patch:
        patch.setattr(faces, "make", lambda *_, **__: pytest.fail("drawn again"))
        second = data.load("faces")
    assert np.array_equal(first.train.images, second.train.images)
    assert np.array_equal(first.validation.images, second.validation.images)
    assert sorted(small.iterdir()) == files


@pytest.mark.parametrize("damage", ["cut", "flipped", "other shape", "other arrays"])
def test_damaged_cache_is_drawn_again(small: Path, damage: str) -> None:
    first = data.load("faces")
    (file,) = small.glob("faces-v[0-9]*.npz")
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "other shape":
        np.savez(file, images=first.train.images, attributes=first.train.attributes)
    else:
        np.savez(file, pictures=first.train.images)
    assert np.array_equal(data.load("faces").train.images, first.train.images)
    assert file.read_bytes() == content


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_bytes(b"a file, not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(faces, "make", lambda *_, **__: pytest.fail("drawn for nothing"))
    with pytest.raises(OutputError, match="cannot write .*cache"):
        data.load("faces")


def test_interrupted_drawing_leaves_no_cache(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        data.load("faces")
    assert list(small.iterdir()) == []


@pytest.mark.parametrize("package", ["dicebear-core", "dicebear-styles", "pylunasvg"])
def test_missing_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = faces.metadata.version

    def version(name: str) -> str:
        if name == package:
            raise faces.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(faces.metadata, "version", version)
    for call in (faces.load, lambda: faces.make(0, 1)):
        with pytest.raises(DataError, match=rf"{package}.*pip install 'generator-zoo\[faces\]'"):
            call()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count: expected an integer from 1"),
        ({"count": 2.0}, "count: expected an integer"),
        ({"first": -1}, "first: expected an integer from 0"),
        (
            {"first": 2**64 - 1, "count": 2},
            "first: expected an integer from 0 to 18446744073709551",
        ),
        ({"seed": 2**64}, "seed: expected an integer from 0 to 18446744073709551615"),
        ({"size": 4}, "size: expected an integer from 8 to 4096, got 4"),
    ],
)
def test_bad_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        faces.make(**{"first": 0, "count": 1, **arguments})


# Processes


def test_a_script_without_a_main_guard(
    tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    # A file of the name of a module, as scripts lie about, must not be imported by the workers.
    (tmp_path / "dicebear.py").write_text("raise SystemExit('imported')")
    (tmp_path / "app").mkdir()
    script = tmp_path / "app" / "script.py"
    script.write_text(
        textwrap.dedent("""
            import sys, threading
            from zoo.data import faces
            print("started")
            result = []
            thread = threading.Thread(target=lambda: result.append(faces.make(0, 300, processes=2)))
            thread.start()
            thread.join()
            sys.stdout.buffer.write(result[0][0].tobytes())
        """)
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, check=True, timeout=100
    )
    assert done.stdout.startswith(b"started\n") and done.stderr == b""
    assert done.stdout[8:] == drawn[0][:300].tobytes()


def test_a_worker_that_dies_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing.sys, "executable", "/bin/false")
    with pytest.raises(DataError, match="a process that draws faces has failed: exit code 1"):
        faces.make(0, 300, processes=2)


def workers() -> set[int]:
    """Return the child processes of this one."""
    me = os.getpid()
    return set(map(int, Path(f"/proc/{me}/task/{me}/children").read_text().split()))


def test_closing_a_stream_ends_its_workers() -> None:
    before = workers()
    blocks: Iterator[tuple[np.ndarray, np.ndarray]] = faces.stream(0, 2**40, processes=2)
    images, attributes = next(blocks)
    assert len(images) == len(attributes) and len(workers() - before) == 2
    blocks.close()  # type: ignore[attr-defined]
    assert workers() == before


# The command


def test_command_writes_celebas_layout(
    tmp_path: Path, drawn: tuple[np.ndarray, np.ndarray]
) -> None:
    said = shell.succeeds("faces", "--out", "set", "-n", 25, "--first", 15, cwd=tmp_path)
    assert said.startswith("25 faces in ") and said.endswith(": set\n")
    folder = tmp_path / "set"
    assert sorted(entry.name for entry in folder.iterdir()) == [
        "img_align_celeba",
        "list_attr_celeba.txt",
        "list_eval_partition.txt",
    ]
    lines = (folder / "list_attr_celeba.txt").read_text().splitlines()
    assert lines[0] == "25" and lines[1].split() == list(faces.ATTRIBUTES)
    assert lines[2].startswith("000016.png ") and len(lines) == 27
    loaded = data.load(str(folder))
    indices = np.arange(15, 40)
    for split, rows in (
        (loaded.seen, indices[indices % 10 != 9]),
        (loaded.test, indices[indices % 10 == 9]),
    ):
        assert split.attributes is not None
        found = zip(map(bytes, split.images), map(bytes, split.attributes), strict=True)
        wanted = zip(map(bytes, drawn[0][rows]), map(bytes, drawn[1][rows]), strict=True)
        assert sorted(found) == sorted(wanted)
    assert loaded.name == "set" and loaded.attributes == list(faces.ATTRIBUTES)


def test_command_takes_seed_and_size_and_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    shell.succeeds(
        "faces", "--out", "set", "-n", 10, "--seed", 2**64 - 1, "--size", 32, cwd=tmp_path
    )
    loaded = data.load(str(tmp_path / "set"))
    images, _ = faces.make(0, 10, 32, 2**64 - 1)
    assert sorted(map(bytes, loaded.seen.images)) == sorted(map(bytes, images[:9]))
    assert np.array_equal(loaded.test.images, images[9:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '--out'"),
        (("--out", "full"), "cannot write full: the folder is not empty"),
        (("--out", "file"), "cannot write file: it exists and is not a folder"),
        (("--out", "no/such"), "there is no folder"),
        (("--out", "set", "-n", 9), "an integer of at least 10"),
        (("--out", "set", "-n", "many"), "an integer of at least 10"),
        (("--out", "set", "--size", 7), "an integer from 8 to 4096, got 7"),
        (("--out", "set", "--seed", -1), "an integer of 64 bits"),
        (("--out", "set", "--first", 2**64 - 1), "first: expected an integer from 0 to"),
    ],
)
def test_command_refuses(tmp_path: Path, arguments: tuple[object, ...], message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    assert message in shell.refuses("faces", *arguments, cwd=tmp_path)
