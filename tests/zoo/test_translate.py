"""zoo.translate as a process with hand-made translators, on Fashion-MNIST and colours."""

from __future__ import annotations

import gzip
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toy_translators as toys
from pictures import save_pictures
from runtime import Translator
from shell import peak_memory, refuses, run, succeeds
from toy_translators import scores
from zoo import corruption
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.evaluation import quality
from zoo.images import grid
from zoo.images.companions import stem
from zoo.images.convert import to_pillow
from zoo.images.stream import ImageStream
from zoo.inference.translation import Preparation, translate


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("engines")
    kinds = {"blur1": 1, "blur3": 3, "replicate1": 1, "fill1": 1, "fill3": 3, "identity3": 3}
    return {
        name: toys.write(folder / f"{name}.onnx", name[:-1], 28, channels)
        for name, channels in kinds.items()
    }


@pytest.fixture(scope="module")
def clothes(fashion_mnist: DataSet) -> np.ndarray:
    return fashion_mnist.test.images[:12]


@pytest.fixture(scope="module")
def colours(clothes: np.ndarray) -> np.ndarray:
    """Clothes in three colours, [12, 28, 28, 3]."""
    return (clothes * np.linspace(0.2, 1, 36).reshape(12, 1, 1, 3)).astype(np.uint8)


def read_folder(folder: Path) -> np.ndarray:
    """Read all pictures of a folder by name, [n, H, W, C]."""
    found = [np.asarray(Image.open(file)) for file in sorted(folder.iterdir())]
    return np.stack([image[..., None] if image.ndim == 2 else image for image in found])


# In and out


def test_folder_to_folder(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    save_pictures(tmp_path / "in", clothes)
    said = succeeds("translate", "--engine", engines["blur1"], "in", "--out", "out", cwd=tmp_path)
    assert re.fullmatch(r"12 images in \S+ s, the engine [\d,]+ images/s \(\w+\): out\n", said)
    assert [file.name for file in sorted((tmp_path / "out").iterdir())] == [
        f"{letter}.png" for letter in "abcdefghijkl"
    ]
    np.testing.assert_array_equal(read_folder(tmp_path / "out"), toys.blurred(clothes))
    again = run("translate", "--engine", engines["blur1"], "in", "--out", "out", cwd=tmp_path)
    assert again.returncode == 2 and "not empty" in again.stderr
    succeeds(
        "translate", "--engine", engines["blur1"], "in", "--out", "out", "--overwrite", cwd=tmp_path
    )


def test_pictures_of_one_name(
    tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray
) -> None:
    for index, folder in enumerate(("in", "in/x", "in/x/y", "more/x")):
        save_pictures(tmp_path / folder, clothes[index : index + 1])
    save_pictures(tmp_path / "more/x", clothes[4:5], ".bmp")
    succeeds("translate", "--engine", engines["blur1"], "in", "more", "--out", "o", cwd=tmp_path)
    found = {file.name: np.asarray(Image.open(file)) for file in (tmp_path / "o").iterdir()}
    blurred = toys.blurred(clothes)[..., 0]
    expected = {"a.png": 0, "x-a.png": 1, "x-y-a.png": 2, "x-a-2.png": 4, "x-a-3.png": 3}
    assert found.keys() == expected.keys()
    for name, index in expected.items():
        np.testing.assert_array_equal(found[name], blurred[index], err_msg=name)


def test_arrays(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", clothes)
    np.savez(tmp_path / "a.npz", images=clothes)
    idx = struct.pack(">IIII", 0x803, 12, 28, 28) + clothes.tobytes()
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(idx))
    blurred = toys.blurred(clothes)
    args = ("--engine", engines["blur1"])
    for given, out in (("a.npy", "o.npz"), ("a.npz", "o.npy"), ("a-idx3-ubyte.gz", "o2.npy")):
        succeeds("translate", *args, given, "--out", out, cwd=tmp_path)
        loaded = np.load(tmp_path / out)
        found = loaded["images"] if out.endswith("z") else loaded
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, blurred)
    succeeds(
        "translate", *args, "a.npy", "a.npz", "--first", 10, "-n", 4, "--out", "f", cwd=tmp_path
    )
    names = ["a-00000000.png", "a-00000001.png", "a-00000010.png", "a-00000011.png"]
    assert [file.name for file in sorted((tmp_path / "f").iterdir())] == names
    np.testing.assert_array_equal(read_folder(tmp_path / "f"), blurred[[0, 1, 10, 11]])


def test_one_picture(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    to_pillow(np.repeat(np.repeat(clothes[3], 2, 0), 2, 1)).convert("RGB").save(
        tmp_path / "big.jpg"
    )
    args = ("--engine", engines["blur1"], "big.jpg", "--out", "one.png")
    assert "28×28 pixels, mode L" in refuses("translate", *args, cwd=tmp_path)
    assert succeeds("translate", *args, "--resize", cwd=tmp_path).startswith("1 image in ")
    with Image.open(tmp_path / "one.png") as picture:
        assert (picture.mode, picture.size) == ("L", (28, 28))


def test_unreadable_pictures(
    tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray, colours: np.ndarray
) -> None:
    save_pictures(tmp_path / "in", clothes[:4])
    (tmp_path / "in" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    to_pillow(colours[0]).save(tmp_path / "in" / "c.png")
    args = ("--engine", engines["blur1"], "in", "--out", "o.npy")
    message = refuses("translate", *args, "--strict", cwd=tmp_path)
    assert "in/b.png" in message
    done = run("translate", *args, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("2 images in ")
    skipped = done.stderr.splitlines()
    assert len(skipped) == 2
    assert skipped[0].startswith("skipped in/b.png: ")
    assert skipped[1].startswith("skipped in/c.png: expected 28×28 pixels, mode L; got ")
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), toys.blurred(clothes[[0, 3]]))
    args = ("--engine", engines["blur1"], "in", "--first", 2, "--out", "p", "--grid", "p.png")
    assert "first must be below the number of images, 2" in refuses(
        "translate", *args, cwd=tmp_path
    )


# Denoising


def test_corrupt_and_measure(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    data = ("--data", "fashion-mnist", "--corrupt", "gaussian:0.1-0.4")
    args = ("--engine", engines["blur1"], *data)
    said = succeeds("translate", *args, "-n", 12, "--seed", 5, "--out", "all.npy", cwd=tmp_path)
    noisy = corruption.parse("gaussian:0.1-0.4").apply(clothes, seed=5)
    blurred = toys.blurred(noisy)
    np.testing.assert_array_equal(np.load(tmp_path / "all.npy"), blurred)
    found = scores(said)
    for name, measure, places in (("PSNR", quality.psnr, 2), ("SSIM", quality.ssim, 4)):
        expected = [measure(images, clothes).mean() for images in (noisy, blurred)]
        assert found.pop(name) == tuple(np.round(expected, places))
    assert not found
    succeeds(
        "translate", *args, "--first", 7, "-n", 3, "--seed", 5, "--out", "some.npy", cwd=tmp_path
    )
    np.testing.assert_array_equal(np.load(tmp_path / "some.npy"), blurred[7:10])


def test_grid(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", np.concatenate([clothes, clothes])[:20])
    said = succeeds(
        "translate", "--engine", engines["blur1"], "a.npy", "--corrupt", "masking:0.2",
        "--grid", "g.png", cwd=tmp_path,
    )  # fmt: skip
    assert "(onnxruntime): g.png\n" in said or "(openvino): g.png\n" in said
    layout = grid.plan(6 * 16, 28, 28, 16)
    pixels = np.asarray(Image.open(tmp_path / "g.png"))
    assert pixels.shape == (layout.height, layout.width)
    truth = np.concatenate([clothes, clothes])[:20]
    masked = corruption.parse("masking:0.2").apply(truth, 0)
    rows = (masked, toys.blurred(masked), truth)
    for index in range(20):
        for row, images in enumerate(rows):
            block, column = divmod(index, 16)
            left, top = layout.corner((3 * block + row) * 16 + column)
            tile = pixels[top : top + 84, left : left + 84]
            np.testing.assert_array_equal(tile[::3, ::3], images[index, ..., 0])
    left, top = layout.corner(3 * 16 + 5)
    assert (pixels[top : top + 100, left : left + 84] == 255).all(), "the rest of a row is empty"


def test_truth_by_name(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    noisy = corruption.parse("gaussian:0.2").apply(clothes, seed=1)
    save_pictures(tmp_path / "in" / "sub", noisy)
    save_pictures(tmp_path / "truth" / "sub", clothes, ".BMP")
    args = ("--engine", engines["blur1"])
    said = succeeds("translate", *args, "in", "--truth", "truth", cwd=tmp_path)
    assert re.match(r"12 images in \S+ s, the engine [\d,]+ images/s \(\w+\)\n", said)
    expected = [quality.psnr(x, clothes).mean() for x in (noisy, toys.blurred(noisy))]
    assert scores(said)["PSNR"] == tuple(np.round(expected, 2))
    one = ("in/sub/c.png", "--truth", "truth/sub/c.BMP")
    assert scores(succeeds("translate", *args, *one, cwd=tmp_path))["PSNR"][0] == pytest.approx(
        quality.psnr(noisy[2:3], clothes[2:3])[0], abs=0.005
    )
    for letter in "bcdefgh":
        (tmp_path / "truth" / "sub" / f"{letter}.BMP").unlink()
    message = refuses("translate", *args, "in", "--truth", "truth", "--out", "o", cwd=tmp_path)
    names = ", ".join(f"sub/{letter}.png" for letter in "bcdef")
    assert message == f"error: truth has no truth for {names} and 2 more\n"


def test_truth_by_order(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    noisy = corruption.parse("salt-pepper:0.2").apply(clothes, seed=1)
    save_pictures(tmp_path / "in", noisy)
    np.save(tmp_path / "truth.npy", clothes)
    args = ("--engine", engines["blur1"], "in", "--truth")
    said = succeeds("translate", *args, "truth.npy", "--first", 3, cwd=tmp_path)
    expected = [quality.psnr(x[3:], clothes[3:]).mean() for x in (noisy, toys.blurred(noisy))]
    assert scores(said)["PSNR"] == tuple(np.round(expected, 2))
    np.save(tmp_path / "few.npy", clothes[:11])
    assert refuses("translate", *args, "few.npy", cwd=tmp_path) == (
        "error: few.npy: expected one truth for each image, got 11 in all\n"
    )
    (tmp_path / "in" / "a.png").write_bytes(b"x")
    assert "in/a.png" in refuses("translate", *args, "truth.npy", cwd=tmp_path), "order is lost"


# Inpainting


def with_random_alpha(images: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """Add alpha as a drawing program may: any value, with colours under the holes."""
    rng = np.random.default_rng(4)
    alpha = np.where(holes, rng.integers(128, 256, holes.shape), rng.integers(0, 128, holes.shape))
    return np.concatenate([images, alpha.astype(np.uint8)], axis=3)


@pytest.mark.parametrize("engine", ["fill1", "fill3"])
def test_transparent_holes(
    tmp_path: Path, engines: dict[str, Path], engine: str, clothes: np.ndarray, colours: np.ndarray
) -> None:
    images = clothes if engine == "fill1" else colours
    holes = corruption.holes(12, 28, 28, seed=3)
    save_pictures(tmp_path / "in", with_random_alpha(images, holes))
    succeeds("translate", "--engine", engines[engine], "in", "--out", "o", cwd=tmp_path)
    expected = toys.filled(corruption.with_alpha(images, holes))
    np.testing.assert_array_equal(read_folder(tmp_path / "o"), expected)
    assert np.array_equal(np.where(holes, expected, 0), np.where(holes, images, 0))
    save_pictures(tmp_path / "whole", images)
    message = refuses("translate", "--engine", engines[engine], "whole", "--out", "p", cwd=tmp_path)
    assert message.endswith("; opaque pictures need --mask PATH or --holes\n")


def test_random_holes(tmp_path: Path, engines: dict[str, Path], colours: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", colours)
    args = ("--engine", engines["fill3"], "a.npy", "--seed", 9)
    said = succeeds("translate", *args, "--holes", "--out", "a.npz", cwd=tmp_path)
    masks = corruption.holes(12, 28, 28, seed=9)
    filled = toys.filled(corruption.with_alpha(colours, masks))
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["images"], filled)
    black = np.where(masks, colours, 0).astype(np.uint8)
    hidden = masks[..., 0] == 0
    inside = [quality.psnr_inside(x, colours, hidden) for x in (black, filled)]
    whole = [quality.psnr(x, colours) for x in (black, filled)]
    finite = np.isfinite(inside).all(axis=0)
    found = scores(said)
    assert found["PSNR in holes"] == tuple(np.round(np.mean(inside, axis=1, where=finite), 2))
    assert found["PSNR"] == tuple(np.round(np.mean(whole, axis=1, where=finite), 2))
    again = succeeds("translate", *args, "--corrupt", "holes", "--out", "b.npz", cwd=tmp_path)
    assert scores(again) == found


def test_masks(tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray) -> None:
    hidden = corruption.holes(12, 28, 28, seed=2) == 0
    white = np.where(hidden, 255, 0).astype(np.uint8)
    save_pictures(tmp_path / "in", clothes)
    save_pictures(tmp_path / "masks", white, ".bmp")
    np.save(tmp_path / "masks.npy", white)
    args = ("--engine", engines["fill1"], "in", "--truth", "in", "--mask")
    by_name = succeeds("translate", *args, "masks", "--out", "n", cwd=tmp_path)
    by_order = succeeds("translate", *args, "masks.npy", "--out", "o", cwd=tmp_path)
    same = succeeds("translate", *args, "masks/c.bmp", "--out", "s", cwd=tmp_path)
    assert scores(by_name) == scores(by_order) != scores(same)
    expected = toys.filled(corruption.with_alpha(clothes, 255 - white))
    np.testing.assert_array_equal(read_folder(tmp_path / "n"), expected)
    np.testing.assert_array_equal(read_folder(tmp_path / "o"), expected)
    one = np.broadcast_to(255 - white[2], clothes.shape)
    np.testing.assert_array_equal(
        read_folder(tmp_path / "s"), toys.filled(corruption.with_alpha(clothes, one))
    )
    Image.new("L", (28, 30)).save(tmp_path / "tall.png")
    assert "tall.png: expected 28×28" in refuses("translate", *args, "tall.png", cwd=tmp_path)
    (tmp_path / "masks" / "b.bmp").unlink()
    assert "masks has no mask for b.png" in refuses("translate", *args, "masks", cwd=tmp_path)


def test_nothing_hidden_is_said(
    tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray
) -> None:
    save_pictures(tmp_path / "in", clothes[:3])
    Image.new("L", (28, 28)).save(tmp_path / "nothing.png")
    done = run(
        "translate", "--engine", engines["fill1"], "in", "--mask", "nothing.png", "--out", "o",
        cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "3 images without hidden pixels\n")
    np.testing.assert_array_equal(read_folder(tmp_path / "o"), clothes[:3])


# Colorization


def test_colour(
    tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray, colours: np.ndarray
) -> None:
    save_pictures(tmp_path / "grey", clothes)
    save_pictures(tmp_path / "colour", colours)
    args = ("--engine", engines["replicate1"])
    succeeds("translate", *args, "grey", "--out", "o", cwd=tmp_path)
    np.testing.assert_array_equal(read_folder(tmp_path / "o"), np.repeat(clothes, 3, axis=3))
    message = refuses("translate", *args, "colour", "--out", "p", cwd=tmp_path)
    assert message.endswith("; --grey takes colour pictures\n")
    said = succeeds("translate", *args, "colour", "--grey", "--grid", "g.png", cwd=tmp_path)
    made = np.repeat(corruption.grey(colours), 3, axis=3)
    found = scores(said)
    for name, measure, places in (
        ("PSNR", quality.psnr, 2),
        ("SSIM", quality.ssim, 4),
        ("ΔE (CIEDE2000)", quality.delta_e, 2),
    ):
        expected = round(float(measure(made, colours).mean()), places)
        assert found.pop(name) == (expected, expected), "this engine changes nothing"
    assert not found
    assert Image.open(tmp_path / "g.png").mode == "RGB"


# Refusals


@pytest.mark.parametrize(
    ("engine", "args", "part"),
    [
        ("vae.onnx", ["a.npy", "--out", "o"], "expected a translator, got the generator of a model;"
         " it makes images from latents: python -m zoo.sample, or zoo.reconstruct"),
        ("vae.encoder.onnx", ["a.npy", "--out", "o"], "got the encoder of a model"),
        ("none.onnx", ["a.npy", "--out", "o"], "no such file"),
        ("blur1", ["a.npy"], "nothing to do: expected --out, --grid, or a truth"),
        ("blur1", ["--out", "o"], "expected IMAGES or --data SET, got neither"),
        ("blur1", ["a.npy", "--out", "o.png"], "it holds one picture, got 12"),
        ("blur1", ["a.npy", "--out", "o.gif"], "expected a folder (no suffix"),
        ("blur1", ["a.npy", "--out", "no/o"], "there is no folder"),
        ("blur1", ["a.npy", "--grid", "o.npy"], "the grid must be a .png"),
        ("blur1", ["a.npy", "--corrupt", "blur:3"], "corruption 'blur:3': expected gaussian:S"),
        ("blur1", ["a.npy", "--corrupt", ""], "corruption '': expected gaussian:S"),
        ("blur1", ["a.npy", "--holes"], "corruption holes: blur1.onnx takes noise"),
        ("fill1", ["a.npy", "--corrupt", "gaussian:1"], "fill1.onnx takes holes"),
        ("fill1", ["a.npy", "--holes", "--corrupt", "holes"], "expected --corrupt or --holes"),
        ("fill1", ["a.npy", "--holes", "--mask", "m.png"], "masks cannot be combined"),
        ("blur1", ["a.npy", "--mask", "m.png", "--out", "o"], "mask: blur1.onnx takes no masks"),
        ("blur1", ["a.npy", "--grey", "--out", "o"], "grey: expected an engine that takes 1"),
        ("blur1", ["a.npy", "--truth", "a.npy", "--corrupt", "masking:0"], "expected --truth, or"),
        ("blur1", ["a.npy", "--truth", "none"], "none"),
        ("blur1", ["a.npy", "--first", "12", "--out", "o"], "first must be below the number"),
        ("blur3", ["a.npy", "--out", "o"], "expected [n, 28, 28, 3]"),
        ("fill1", ["a.npy", "--mask", "none.png", "--out", "o"], "none.png"),
    ],
)  # fmt: skip
def test_refusals(
    tmp_path: Path,
    engines: dict[str, Path],
    clothes: np.ndarray,
    engine: str,
    args: list[str],
    part: str,
) -> None:
    np.save(tmp_path / "a.npy", clothes)
    assert part in refuses(
        "translate", "--engine", engines.get(engine, engine), *args, cwd=tmp_path
    )


# The function, and the process


def test_translate_is_the_same_in_any_blocks(
    tmp_path: Path, engines: dict[str, Path], clothes: np.ndarray
) -> None:
    np.save(tmp_path / "a.npy", clothes)
    damage = corruption.parse("salt-pepper:0.1-0.3")
    with Translator(engines["blur1"]) as translator:
        for block, first in ((1, 0), (5, 3), (1024, 11)):
            source = ImageStream([str(tmp_path / "a.npy")], (28, 28, 1), block=block)
            prepare = Preparation(translator, damage)
            parts = list(translate(translator, source, prepare, seed=8, first=first))
            assert [name for part in parts for name in part.names] == [
                str(i) for i in range(first, 12)
            ]
            outputs = np.concatenate([part.outputs for part in parts])
            np.testing.assert_array_equal(
                outputs, toys.blurred(damage.apply(clothes, seed=8))[first:]
            )
            truths = [part.truths for part in parts if part.truths is not None]
            np.testing.assert_array_equal(np.concatenate(truths), clothes[first:])
        with pytest.raises(ConfigError, match=r"mask: blur1\.onnx takes no masks"):
            Preparation(translator, masked=True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.png", "a"), ("x/a.b.jpg", "x/a.b"), ("7", "00000007"), ("b.npy:7", "b-00000007"),
        ("a", "a"), ("a:b.png", "a:b"), ("123456789", "123456789"),
    ],
)  # fmt: skip
def test_names_of_files(name: str, expected: str) -> None:
    assert stem(name) == expected


def test_memory_does_not_grow_with_the_images(tmp_path: Path, engines: dict[str, Path]) -> None:
    peaks = []
    for n in (8000, 80_000):
        np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.uint8, (n, 28, 28, 3))
        args = ("a.npy", "--engine", engines["identity3"], "--out", "o.npy")
        peaks.append(peak_memory("translate", *args, cwd=tmp_path))
        assert np.load(tmp_path / "o.npy", mmap_mode="r").shape == (n, 28, 28, 3)
    assert peaks[1] < peaks[0] + 32 * 1024, "ten times the images, 180 MB"
