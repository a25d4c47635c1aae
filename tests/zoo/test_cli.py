"""Commands that run engines, as processes with the shipped engine; their files are read back."""

from __future__ import annotations

import gzip
import json
import math
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime
import zoo
from pictures import frames, picture, save_pictures, tiles
from shell import ENGINE, command, modules_after, run, succeeds
from zoo.engines import encoder_path

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def generator() -> Iterator[runtime.Generator]:
    with runtime.Generator(zoo.engine_path(ENGINE)) as generator:
        yield generator


@pytest.fixture(scope="module")
def encoder() -> Iterator[runtime.Encoder]:
    with runtime.Encoder(encoder_path(zoo.engine_path(ENGINE))) as encoder:
        yield encoder


@pytest.fixture(scope="module")
def clothes(generator: runtime.Generator) -> np.ndarray:
    """Images [4, H, W, C] that resemble the training data."""
    return generator.sample(4, seed=99)


def test_default_is_a_grid_of_64(tmp_path: Path, generator: runtime.Generator) -> None:
    said = succeeds("sample", "--engine", ENGINE, cwd=tmp_path)
    assert re.fullmatch(r"64 images in \S+ s, [\d,]+ images/s \(\w+\): samples\.png\n", said)
    np.testing.assert_array_equal(tiles(tmp_path / "samples.png", 64), generator.sample(64))


def test_sample_grid(tmp_path: Path, generator: runtime.Generator) -> None:
    succeeds(
        "sample", "--engine", ENGINE, "-n", 7, "--seed", 2**64 - 1, "--first", 5, "--out", "g.png",
        cwd=tmp_path,
    )  # fmt: skip
    expected = generator.sample(7, seed=2**64 - 1, first=5)
    np.testing.assert_array_equal(tiles(tmp_path / "g.png", 7), expected)


def test_sample_folder(tmp_path: Path, generator: runtime.Generator) -> None:
    args = ("--engine", ENGINE, "-n", 3, "--first", 8)
    for out in ("with-slash/", "without"):
        succeeds("sample", *args, "--out", out, cwd=tmp_path)
        files = sorted((tmp_path / out).iterdir())
        assert [file.name for file in files] == ["00000008.png", "00000009.png", "00000010.png"]
        found = np.stack([picture(file) for file in files])
        np.testing.assert_array_equal(found, generator.sample(3, first=8))
    again = run("sample", *args, "--out", "without", cwd=tmp_path)
    assert again.returncode == 2 and "not empty" in again.stderr
    succeeds("sample", *args, "--out", "without", "--overwrite", cwd=tmp_path)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_sample_arrays(tmp_path: Path, generator: runtime.Generator, name: str) -> None:
    succeeds("sample", "--engine", ENGINE, "-n", 300, "--seed", 3, "--out", name, cwd=tmp_path)
    loaded = np.load(tmp_path / name)
    images = loaded["images"] if name.endswith("z") else loaded
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, generator.sample(300, seed=3))


def test_sample_gif(tmp_path: Path, generator: runtime.Generator) -> None:
    succeeds("sample", "--engine", ENGINE, "-n", 9, "--out", "a.gif", cwd=tmp_path)
    np.testing.assert_array_equal(frames(tmp_path / "a.gif"), generator.sample(9))


def test_options_of_speed_never_change_the_bytes(tmp_path: Path) -> None:
    args = ("sample", "--engine", ENGINE, "-n", 100, "--seed", 11)
    succeeds(*args, "--out", "a.npy", cwd=tmp_path)
    for options in (("--batch", 7), ("--instances", 1), ("--instances", 3, "--batch", 64)):
        succeeds(*args, *options, "--out", "b.npy", cwd=tmp_path)
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes(), options


def test_a_file_comes_before_a_shipped_name(tmp_path: Path) -> None:
    shipped = zoo.engine_path(ENGINE)
    (tmp_path / "mine.onnx").write_bytes(shipped.read_bytes())
    succeeds("sample", "--engine", "mine.onnx", "-n", 1, "--out", "a.npy", cwd=tmp_path)
    succeeds("sample", "--engine", shipped.absolute(), "-n", 1, "--out", "b.npy", cwd=tmp_path)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_variations_of_an_image(
    tmp_path: Path, generator: runtime.Generator, encoder: runtime.Encoder, clothes: np.ndarray
) -> None:
    Image.fromarray(clothes[0, ..., 0]).save(tmp_path / "in.png")
    args = ("sample", "--engine", ENGINE, "--from", "in.png", "-n", 7, "--seed", 4, "--first", 2)
    succeeds(*args, "--out", "g.png", cwd=tmp_path)
    succeeds(*args, "--out", "a.npy", "--batch", 2, cwd=tmp_path)
    mu, logvar = encoder.encode(clothes[:1])
    found = tiles(tmp_path / "g.png", 9)
    expected = generator.sample(7, seed=4, first=2, mu=mu[0], logvar=logvar[0])
    np.testing.assert_array_equal(found[0], clothes[0])
    np.testing.assert_array_equal(found[1], generator.decode(mu)[0])
    np.testing.assert_array_equal(found[2:], expected)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
    # h = mu + sigma * epsilon with the noise of the contract.
    noise = runtime.noise.normals(4, 2, 7, generator.latent_width)
    by_hand = generator.decode(mu + np.exp(0.5 * logvar) * noise)
    assert np.abs(by_hand.astype(int) - expected).max() <= 1


def test_resize_takes_any_picture(tmp_path: Path) -> None:
    Image.new("RGB", (50, 40), (200, 20, 20)).save(tmp_path / "in.jpg")
    args = ("sample", "--engine", ENGINE, "--from", "in.jpg", "-n", 2, "--out", "g.png")
    assert run(*args, cwd=tmp_path).returncode == 2
    succeeds(*args, "--resize", cwd=tmp_path)


def test_verbose_speaks_on_stderr_only(tmp_path: Path) -> None:
    done = run("sample", "--engine", ENGINE, "-n", 1, "-v", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("1 image in ") and done.stdout.count("\n") == 1
    assert re.search(r"vae\.onnx: \w+, \d+ instances, loaded in \d+ ms\n$", done.stderr)


@pytest.mark.parametrize("mode", ["linear", "spherical"])
def test_interpolate_seeds(tmp_path: Path, generator: runtime.Generator, mode: str) -> None:
    args = ("interpolate", "seed:3", "sample:7", "--engine", ENGINE, "--mode", mode)
    succeeds(*args, "--seed", 5, "--steps", 6, "--out", "a.npy", cwd=tmp_path)
    succeeds(*args, "--seed", 5, "--steps", 6, "--out", "a.png", cwd=tmp_path)
    succeeds(*args, "--seed", 5, "--steps", 6, "--out", "a.gif", cwd=tmp_path)
    images = np.load(tmp_path / "a.npy")
    assert images.shape == (7, *SHAPE)
    np.testing.assert_array_equal(images[0], generator.sample(1, seed=3)[0])
    np.testing.assert_array_equal(images[6], generator.sample(1, seed=5, first=7)[0])
    np.testing.assert_array_equal(tiles(tmp_path / "a.png", 7, columns=7), images)
    np.testing.assert_array_equal(frames(tmp_path / "a.gif"), images)
    a = runtime.noise.normal(3, 0, 0, generator.latent_width).astype(np.float64)
    b = runtime.noise.normal(5, 7, 0, generator.latent_width).astype(np.float64)
    t = np.arange(7)[:, None] / 6
    if mode == "linear":
        h = a + (b - a) * t
    else:
        angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        h = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    expected = generator.decode(h.astype(np.float32))
    assert np.abs(expected.astype(int) - images).max() <= 1


def test_interpolate_images(
    tmp_path: Path, generator: runtime.Generator, encoder: runtime.Encoder, clothes: np.ndarray
) -> None:
    save_pictures(tmp_path, clothes[:2], names="{}")
    args = ("interpolate", "0.png", "1.png", "--engine", ENGINE)
    said = succeeds(*args, "--steps", 40, "--out", "a.png", cwd=tmp_path)
    assert said == "41 images from 0.png to 1.png: a.png\n"
    mu, _ = encoder.encode(clothes[:2])
    expected = generator.interpolate(mu[0], mu[1], 40)
    np.testing.assert_array_equal(tiles(tmp_path / "a.png", 41, columns=16), expected)
    np.testing.assert_array_equal(expected[[0, 40]], generator.decode(mu))


def test_interpolate_to_itself_keeps_all_frames(tmp_path: Path) -> None:
    args = ("interpolate", "seed:1", "seed:1", "--engine", ENGINE, "--steps", 4)
    succeeds(*args, "--out", "a.gif", cwd=tmp_path)
    assert len(frames(tmp_path / "a.gif")) == 5


def test_reconstruct(
    tmp_path: Path, generator: runtime.Generator, encoder: runtime.Encoder, clothes: np.ndarray
) -> None:
    save_pictures(tmp_path / "folder", clothes, names="{}")
    np.save(tmp_path / "a.npy", clothes)
    np.savez(tmp_path / "a.npz", images=clothes)
    idx = struct.pack(">IIII", 0x803, 4, 28, 28) + clothes.tobytes()
    (tmp_path / "a-idx3-ubyte.gz").write_bytes(gzip.compress(idx))
    expected = generator.decode(encoder.encode(clothes)[0])
    difference = clothes.astype(float) - expected
    psnr = 10 * math.log10(255**2 / np.square(difference).mean())
    files = [f"folder/{index}.png" for index in range(4)]
    for images in (files, ["folder"], ["a.npy"], ["a.npz"], ["a-idx3-ubyte.gz"]):
        said = succeeds(
            "reconstruct", "--engine", ENGINE, *images, "--out", "pairs.png", cwd=tmp_path
        )
        found = tiles(tmp_path / "pairs.png", 4, columns=4, height=57)
        np.testing.assert_array_equal(found[:, :28], clothes)
        np.testing.assert_array_equal(found[:, 29:], expected)
        assert said.startswith(f"4 images: PSNR {psnr:.2f} dB (")
        assert f"mean absolute error {np.abs(difference).mean():.2f} of 255\n" in said
        assert said.endswith("pairs.png\n")


def test_reconstruct_measures_all_and_shows_some(
    tmp_path: Path, generator: runtime.Generator
) -> None:
    np.save(tmp_path / "a.npy", generator.sample(300))
    said = succeeds("reconstruct", "--engine", ENGINE, "a.npy", cwd=tmp_path)
    assert said.startswith("300 images: PSNR ")
    assert said.endswith("reconstruction.png (the first 64)\n")
    assert len(tiles(tmp_path / "reconstruction.png", 64, columns=16, height=57)) == 64
    said = succeeds("reconstruct", "--engine", ENGINE, "a.npy", "-n", 1, cwd=tmp_path)
    assert said.startswith("1 image: PSNR ")


def test_inspect(tmp_path: Path) -> None:
    said = succeeds("inspect", ENGINE, cwd=tmp_path)
    for expected in ("model", "vae", "generator", "philox4x32-10", "mu", "logvar", "uint8"):
        assert re.search(rf"\b{re.escape(expected)}\b", said), expected
    # The numbers of the learned prior, in base64.
    assert "characters of binary data" in said and len(said) < 9000
    document = json.loads(succeeds("inspect", ENGINE, "--json", cwd=tmp_path))
    assert document == runtime.manifest.read(zoo.engine_path(ENGINE))


PROGRAMS = {
    "sample": ["--engine", ENGINE, "-n", "2", "--out", "a.npy"],
    "interpolate": ["seed:1", "seed:2", "--engine", ENGINE, "--out", "b.npy"],
    "reconstruct": ["--engine", ENGINE, "in.npy"],
    "inspect": [ENGINE],
    "embed": ["--engine", ENGINE, "in.npy"],
    "retrieve": ["build", "in.npy", "--engine", ENGINE, "--out", "a.index"],
    "translate": ["in.npy", "--engine", "denoising-ae.onnx", "--out", "c.npy"],
    "edit": ["sample:0", "--engine", "vae-faces.onnx", "--add", "Smiling=1", "--out", "d.npy"],
    "mix": ["--engine", "stylegan.onnx", "--out", "e.npy"],
    "cluster": ["in.npy", "--engine", ENGINE, "-k", "2"],
    "anomaly": ["in.npy", "--engine", ENGINE, "--normal", "in.npy"],
    "neighbours": ["in.npy", "--engine", ENGINE, "-k", "2"],
    "list": [],
}
COMMANDS = sorted(
    file.stem
    for file in Path(zoo.__file__).parent.glob("*.py")
    if "\ndef main(" in file.read_text("utf-8")
)


@pytest.mark.parametrize("name", PROGRAMS)
def test_commands_import_no_more_than_they_need(
    tmp_path: Path, name: str, clothes: np.ndarray
) -> None:
    np.save(tmp_path / "in.npy", clothes)
    imported = modules_after(
        tmp_path, f"import zoo.{name} as m; m.main({PROGRAMS[name]!r}, standalone_mode=False)"
    )
    unneeded = {"torch", "onnx", "onnxscript", "export", "safetensors"}
    # scikit-learn imports pandas where that is installed, and pandas imports pyarrow.
    assert not imported & (unneeded if "pandas" in imported else {*unneeded, "pyarrow"})
    if name not in ("cluster", "neighbours"):
        assert not imported & {"scipy", "sklearn", "skimage", "matplotlib"}
    if name in ("sample", "interpolate"):
        slow = {"PIL", "onnxruntime", "openvino", "email"}
        assert not imported & slow, "slow to import and not needed"


def test_importing_the_package_is_light(tmp_path: Path) -> None:
    assert not modules_after(tmp_path, "import zoo") & {"numpy", "PIL", "click", "torch"}


@pytest.mark.parametrize("words", [*COMMANDS, "retrieve build", "retrieve query"])
def test_help_is_light_and_fits_a_terminal(tmp_path: Path, words: str) -> None:
    name, *rest = words.split()
    code = f"import zoo.{name} as m; m.main({[*rest, '--help']!r}, standalone_mode=False)"
    code += "\nimport sys; print('imported', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    *said, imported = done.stdout.splitlines()
    assert said[0].startswith("Usage: ") and max(map(len, said)) <= 100
    assert not set(imported.split()) & {"numpy", "PIL", "torch", "runtime", "faiss"}


def test_closed_pipe_is_no_crash(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("inspect", ENGINE), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
