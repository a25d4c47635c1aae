"""zoo.translate as a process with engines that change domains, draw noise, or take edges."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import small_inputs
import toy_domains
import toy_translators as toys
from pictures import save_pictures
from shell import refuses, run, succeeds
from toy_domains import DOMAINS
from toy_translators import scores
from zoo.corruption.edges import edges
from zoo.evaluation import quality
from zoo.images import grid

SEEN = len(DOMAINS.seen)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return toy_domains.write(tmp_path)


@pytest.fixture
def own() -> np.ndarray:
    """Attributes of eight images: all hair colours, bald, with sunglasses."""
    table = np.zeros((8, SEEN), np.bool_)
    table[np.arange(6), [0, 1, 2, 0, 1, 2]] = True
    table[[1, 3, 6], DOMAINS.names.index("Smiling")] = True
    table[[2, 3], DOMAINS.names.index("Eyeglasses")] = True
    table[4, DOMAINS.seen.index("Sunglasses")] = True
    return table


def test_what_is_asked_for_changes(tmp_path: Path, engine: Path, own: np.ndarray) -> None:
    images = toy_domains.images_of(own)
    np.save(tmp_path / "a.npy", images)
    done = run(
        "translate", "--engine", engine, "a.npy", "--to", "Blond_Hair,-Eyeglasses",
        "--out", "o.npy", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done
    # The two without hair, and the one whose sunglasses hide whether there are glasses.
    assert done.stderr == "3 images in which not all of Blond_Hair,-Eyeglasses can be changed\n"
    targets, whole = DOMAINS.targets(own, {"Blond_Hair": True, "Eyeglasses": False})
    assert (~whole).sum() == 3
    np.testing.assert_array_equal(
        np.load(tmp_path / "o.npy"), toy_domains.translated(images, targets)
    )


def test_a_minus_first(tmp_path: Path, engine: Path, own: np.ndarray) -> None:
    images = toy_domains.images_of(own)[:4]
    save_pictures(tmp_path / "in", images)
    said = succeeds(
        "translate", "--engine", engine, "in", "--to", "-Smiling", "--out", "out", "--grid",
        "g.png", cwd=tmp_path,
    )  # fmt: skip
    assert re.match(r"4 images in .*: out, g\.png\n", said)
    targets = DOMAINS.targets(own[:4], {"Smiling": False})[0]
    made = np.stack([np.asarray(Image.open(f)) for f in sorted((tmp_path / "out").iterdir())])
    np.testing.assert_array_equal(made, toy_domains.translated(images, targets))


def test_a_grid_of_every_domain(tmp_path: Path, engine: Path, own: np.ndarray) -> None:
    images = toy_domains.images_of(own)
    np.save(tmp_path / "a.npy", images)
    args = ("--engine", engine, "a.npy", "--first", 1, "-n", 6, "--grid", "g.png")
    assert succeeds("translate", *args, cwd=tmp_path) == "6 images changed to every domain: g.png\n"
    columns = 1 + len(DOMAINS.names)
    pixels = np.asarray(Image.open(tmp_path / "g.png"))
    factor = grid.plan(1, 12, 12).factor
    empty = np.full((12, 12, 3), 255)
    found = tiles(pixels, 6, columns, 12 * factor)[:, ::factor, ::factor]
    for row in range(6):
        np.testing.assert_array_equal(found[row * columns], images[row + 1])
        for column, name in enumerate(DOMAINS.names, 1):
            wanted = {name: len(DOMAINS.choice(name)) > 1 or not own[row + 1, column - 1]}
            targets, whole = DOMAINS.targets(own[row + 1 : row + 2], wanted)
            changes = whole[0] and (targets[0] != own[row + 1, : len(DOMAINS.names)]).any()
            made = toy_domains.translated(images[row + 1 : row + 2], targets)[0]
            np.testing.assert_array_equal(
                found[row * columns + column], made if changes else empty, err_msg=f"{row} {name}"
            )


def tiles(pixels: np.ndarray, rows: int, columns: int, side: int) -> np.ndarray:
    """Cut the tiles out of a grid by its layout."""
    from zoo.images.grid import GAP, LABEL_HEIGHT, MARGIN, TITLE_HEIGHT

    cell = (pixels.shape[1] - 2 * MARGIN + GAP) // columns - GAP
    found = []
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        left = MARGIN + column * (cell + GAP) + (cell - side) // 2
        top = MARGIN + TITLE_HEIGHT + row * (side + LABEL_HEIGHT + GAP)
        found.append(pixels[top : top + side, left : left + side])
    return np.stack(found)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--to", "Beard", "--out", "o"], "no domain 'Beard'; domains: Black_Hair, .*Eyeglasses"),
        (["--out", "o"], "expected --to DOMAIN,… or only --grid, of Black_Hair, Blond_Hair"),
        (["--to", "Smiling"], "nothing to do: expected --out, --grid"),
        (["--to", "Smiling", "--out", "o", "--edges"], "does not take edges"),
        (["--grid", "g.png", "--first", "8"], "first must be below the number of images, 8"),
    ],
)
def test_bad_requests(
    tmp_path: Path, engine: Path, own: np.ndarray, args: list[str], message: str
) -> None:
    np.save(tmp_path / "a.npy", toy_domains.images_of(own))
    assert re.search(
        message, refuses("translate", "--engine", engine, "a.npy", *args, cwd=tmp_path)
    )


def test_without_its_classifier(tmp_path: Path, engine: Path, own: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", toy_domains.images_of(own))
    args = ("--engine", engine, "a.npy", "--to", "Smiling", "--out", "o.npy")
    beside = tmp_path / "toy.classifier.onnx"
    beside.rename(tmp_path / "kept.onnx")
    message = refuses("translate", *args, cwd=tmp_path)
    assert "toy.onnx needs its classifier to see attributes" in message
    (tmp_path / "other").mkdir()
    names = list(reversed(toy_domains.DOMAINS.names))
    condition = {"kind": "attributes", "names": names}
    other = toy_domains.write(tmp_path / "other", condition=condition)
    message = refuses("translate", "--engine", other, *args[2:], cwd=tmp_path)
    assert "toy.classifier.onnx is not the classifier of toy.onnx" in message


def test_domains_of_another_engine(tmp_path: Path, own: np.ndarray) -> None:
    blur = toys.write(tmp_path / "blur.onnx", "blur", 12, 3)
    np.save(tmp_path / "a.npy", toy_domains.images_of(own))
    args = ("--engine", blur, "a.npy", "--to", "Smiling", "--out", "o.npy")
    message = refuses("translate", *args, cwd=tmp_path)
    assert "--to: blur.onnx does not translate between domains" in message


@pytest.fixture
def sketcher(tmp_path: Path) -> Path:
    """An engine for edges that repeats its input in three channels."""
    return toys.write(tmp_path / "sketch.onnx", "replicate", 28, 1, task="edges")


def test_edges(tmp_path: Path, sketcher: Path) -> None:
    random = np.random.default_rng(0)
    images = np.kron(random.integers(0, 256, (5, 7, 7, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    np.save(tmp_path / "a.npy", images)
    args = ("--engine", sketcher, "a.npy", "--edges", "--out", "o.npy", "--grid", "g.png")
    said = succeeds("translate", *args, cwd=tmp_path)
    lines = edges(images).repeat(3, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), lines)
    expected = quality.psnr(lines, images).mean()
    assert scores(said)["PSNR"] == (np.round(expected, 2),) * 2
    np.save(tmp_path / "drawn.npy", edges(images))
    succeeds("translate", *args[:2], "drawn.npy", "--out", "same.npy", cwd=tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "same.npy"), lines)


def test_edges_are_not_grey(tmp_path: Path, sketcher: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 28, 28, 3), np.uint8))
    args = ("--engine", sketcher, "a.npy", "--out", "o.npy")
    assert "--edges takes colour pictures" in refuses("translate", *args, cwd=tmp_path)
    assert "grey: sketch.onnx takes edges" in refuses("translate", *args, "--grey", cwd=tmp_path)
    both = refuses("translate", *args, "--edges", "--corrupt", "masking:0.1", cwd=tmp_path)
    assert "edges cannot be combined with grey or a corruption" in both
    colouring = toys.write(tmp_path / "colour.onnx", "replicate", 28, 1)
    args = ("--engine", colouring, "a.npy", "--out", "o.npy", "--edges")
    assert "edges: colour.onnx does not take edges" in refuses("translate", *args, cwd=tmp_path)


def test_noise_is_that_of_seed_and_image(tmp_path: Path) -> None:
    evaluate = small_inputs.translator(tmp_path / "noisy.onnx", widths=[5, 40])
    shape = (20, *small_inputs.SHAPE)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.save(tmp_path / "a.npy", images)
    args = ("--engine", tmp_path / "noisy.onnx", "a.npy")

    def made(*more: object) -> np.ndarray:
        succeeds("translate", *args, *more, "--out", "o.npy", cwd=tmp_path)
        found: np.ndarray = np.load(tmp_path / "o.npy")
        return found

    whole = made("--seed", 7)
    assert np.abs(whole.astype(int) - evaluate(images, None, 7, 0)).max() <= 1
    assert np.array_equal(made("--seed", 7, "--first", 5, "-n", 9), whole[5:14])
    assert not np.array_equal(made("--seed", 8), whole)
    assert np.array_equal(made(), made("--seed", 0))
