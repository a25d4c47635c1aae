"""zoo.translate as a process with engines that change domains, draw noise, or take edges."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime
import small_inputs
import toy_translators as toys
from pictures import save_pictures
from shell import refuses, run, succeeds
from toy_translators import scores
from zoo import engine_path
from zoo.corruption.edges import edges
from zoo.data import faces
from zoo.data.domains import Domains, Table, read_domains
from zoo.evaluation import quality
from zoo.images import grid

ENGINE = "stargan.onnx"


@pytest.fixture(scope="module")
def domains() -> Domains:
    with runtime.Translator(engine_path(ENGINE)) as translator:
        return read_domains(translator)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Eight faces: five colours of hair, one without, one with sunglasses, three with glasses."""
    return faces.make(0, 41, processes=1)[0][[0, 2, 3, 5, 7, 16, 23, 40]]


@pytest.fixture(scope="module")
def own(images: np.ndarray, domains: Domains) -> Table:
    """Attributes of the faces, as the classifier beside the translator sees them."""
    with runtime.Classifier(engine_path("stargan.classifier.onnx")) as classifier:
        return domains.decide(classifier.classify(images))


def translated(images: np.ndarray, targets: Table) -> np.ndarray:
    with runtime.Translator(engine_path(ENGINE)) as translator:
        return translator.translate(images, targets.astype(np.float32))


def test_what_is_asked_for_changes(
    tmp_path: Path, images: np.ndarray, own: Table, domains: Domains
) -> None:
    np.save(tmp_path / "a.npy", images)
    done = run(
        "translate", "--engine", ENGINE, "a.npy", "--to", "Blond_Hair,-Eyeglasses",
        "--out", "o.npy", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done
    # The one without hair, and the one whose sunglasses hide whether there are glasses.
    assert done.stderr == "2 images in which not all of Blond_Hair,-Eyeglasses can be changed\n"
    targets, whole = domains.targets(own, {"Blond_Hair": True, "Eyeglasses": False})
    assert (~whole).sum() == 2
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), translated(images, targets))


def test_a_minus_first(tmp_path: Path, images: np.ndarray, own: Table, domains: Domains) -> None:
    save_pictures(tmp_path / "in", images[:4])
    said = succeeds(
        "translate", "--engine", ENGINE, "in", "--to", "-Smiling", "--out", "out", "--grid",
        "g.png", cwd=tmp_path,
    )  # fmt: skip
    assert re.match(r"4 images in .*: out, g\.png\n", said)
    targets = domains.targets(own[:4], {"Smiling": False})[0]
    made = np.stack([np.asarray(Image.open(f)) for f in sorted((tmp_path / "out").iterdir())])
    np.testing.assert_array_equal(made, translated(images[:4], targets))


def test_a_grid_of_every_domain(
    tmp_path: Path, images: np.ndarray, own: Table, domains: Domains
) -> None:
    np.save(tmp_path / "a.npy", images)
    args = ("--engine", ENGINE, "a.npy", "--first", 1, "-n", 6, "--grid", "g.png")
    assert succeeds("translate", *args, cwd=tmp_path) == "6 images changed to every domain: g.png\n"
    columns = 1 + len(domains.names)
    pixels = np.asarray(Image.open(tmp_path / "g.png"))
    factor = grid.plan(1, 64, 64).factor
    found = tiles(pixels, 6, columns, 64 * factor)[:, ::factor, ::factor]
    found = found.reshape(6, columns, 64, 64, 3)
    np.testing.assert_array_equal(found[:, 0], images[1:7])
    for column, name in enumerate(domains.names):
        made = np.full((6, 64, 64, 3), 255, np.uint8)
        for row, its in enumerate(own[1:7]):
            wanted = {name: len(domains.choice(name)) > 1 or not its[column]}
            targets, whole = domains.targets(its[None], wanted)
            if whole[0] and (targets[0] != its[: len(domains.names)]).any():
                made[row] = translated(images[row + 1][None], targets)[0]
        np.testing.assert_array_equal(found[:, column + 1], made, err_msg=name)


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
        (["--out", "o"], "expected --to DOMAIN,… or only --grid, of Black_Hair, Brown_Hair"),
        (["--to", "Smiling"], "nothing to do: expected --out, --grid"),
        (["--to", "Smiling", "--out", "o", "--edges"], "does not take edges"),
        (["--grid", "g.png", "--first", "8"], "first must be below the number of images, 8"),
    ],
)
def test_bad_requests(tmp_path: Path, images: np.ndarray, args: list[str], message: str) -> None:
    np.save(tmp_path / "a.npy", images)
    said = refuses("translate", "--engine", ENGINE, "a.npy", *args, cwd=tmp_path)
    assert re.search(message, said)


def test_without_its_classifier(tmp_path: Path, images: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", images)
    shutil.copy(engine_path(ENGINE), tmp_path / "alone.onnx")
    args = ("--engine", "alone.onnx", "a.npy", "--to", "Smiling", "--out", "o.npy")
    message = refuses("translate", *args, cwd=tmp_path)
    assert "alone.onnx needs its classifier to see attributes" in message
    shutil.copy(engine_path("face-attributes.onnx"), tmp_path / "alone.classifier.onnx")
    message = refuses("translate", *args, cwd=tmp_path)
    assert "alone.classifier.onnx is not the classifier of alone.onnx" in message


def test_domains_of_another_engine(tmp_path: Path, images: np.ndarray) -> None:
    blur = toys.write(tmp_path / "blur.onnx", "blur", 64, 3)
    np.save(tmp_path / "a.npy", images)
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
