"""zoo.mix: combined styles of two images, layer by layer, and the picture of all pairs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import small_inputs
from backends import ANY_GRAPH
from oracles.noise import normals
from shell import refuses, succeeds
from small_inputs import SHAPE, STYLE, WIDTH, Style, close
from zoo.applications import style_mixing
from zoo.errors import ConfigError
from zoo.images import grid, rows

SEED = 2**63 + 5


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Style]:
    """A style-based engine of two layers, and its function in float64."""
    folder = tmp_path_factory.mktemp("style")
    return folder / "small.onnx", small_inputs.style(folder, "small")


@pytest.fixture(scope="module")
def engine(small: tuple[Path, Style]) -> Path:
    return small[0]


@pytest.fixture(scope="module")
def style(small: tuple[Path, Style]) -> Style:
    return small[1]


@pytest.mark.parametrize("side", [4, 8, 16, 32, 64, 128, 256, 512, 1024])
def test_every_layer_is_in_the_band_of_its_resolution(side: int) -> None:
    resolutions = [4 * 2**step for step in range(int(math.log2(side)) - 1)]
    sides = [resolution for resolution in resolutions for _ in range(2)]
    found = style_mixing.bands(len(sides))
    assert [layer for band in found for layer in band.layers] == list(range(len(sides)))
    expected = {"coarse": (4, 8), "middle": (16, 32), "fine": tuple(resolutions[4:])}
    for band in found:
        its = sorted({sides[layer] for layer in band.layers})
        assert its == [at for at in expected[band.name] if at <= side]
        ends = [f"{its[0]}×{its[0]}", f"{its[-1]}×{its[-1]}"]
        assert band.sides == (
            ends[0] if len(its) == 1 else (" and " if len(its) == 2 else " to ").join(ends)
        )
    assert [band.name for band in found] == [
        name for name, its in expected.items() if its and its[0] <= side
    ]


def test_a_mixture_has_the_styles_of_b_in_those_layers_only() -> None:
    random = np.random.default_rng(0)
    a, b = random.standard_normal((2, 5, 3)).astype(np.float32)
    for of_b in ([], [0], [2, 3], range(6)):
        mixed = style_mixing.mix(a, b, 6, of_b)
        assert mixed.shape == (5, 18)
        assert mixed.dtype == np.float32
        for layer in range(6):
            expected = b if layer in of_b else a
            assert np.array_equal(mixed[:, 3 * layer : 3 * layer + 3], expected)


class Made:
    """A synthesis network that returns its styles and records batch sizes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def decode(self, styles: Any) -> Any:
        self.sizes.append(len(styles))
        return styles.astype(np.uint8)


def test_all_pairs_are_made_in_order_and_in_blocks() -> None:
    down = np.arange(7, dtype=np.float32)[:, None]
    across = 100 + np.arange(90, dtype=np.float32)[:, None]
    network: Any = Made()
    chosen = style_mixing.bands(10)
    blocks = list(style_mixing.mix_pairs(network, down, across, 10, chosen))
    assert max(network.sizes) <= 256 and sum(network.sizes) == 3 * 7 * 90
    images = np.concatenate(blocks).reshape(3, 7, 90, 10)
    for index, layers in enumerate(([0, 1, 2, 3], [4, 5, 6, 7], [8, 9])):
        for layer in range(10):
            expected = across[None, :, 0] if layer in layers else down
            assert (images[index, :, :, layer] == expected).all()


class Mapping:
    """w = 2·h, around the mean style (1, 10)."""

    style_mean = np.array([1, 10], np.float32)

    def map(self, latents: Any) -> Any:
        return 2 * np.asarray(latents, np.float32)


def test_styles_are_truncated_to_their_mean() -> None:
    mapping: Any = Mapping()
    latents = np.array([[3, 4], [0.5, 5]])
    whole = np.array([[6, 8], [1, 10]])
    assert np.array_equal(style_mixing.styles(mapping, latents), whole)
    assert np.array_equal(style_mixing.styles(mapping, latents, 1.0), whole)
    assert np.array_equal(style_mixing.styles(mapping, latents, 0.5), np.array([[3.5, 9], [1, 10]]))
    assert np.array_equal(
        style_mixing.styles(mapping, latents, 0), np.tile(Mapping.style_mean, (2, 1))
    )
    with pytest.raises(ConfigError, match=r"truncation: 1e\+300 makes styles that are not finite"):
        style_mixing.styles(mapping, latents, 1e300)


def run_mix(engine: Path, folder: Path, *options: object) -> Any:
    succeeds("mix", "--engine", engine, *options, "--out", "mixed.npy", cwd=folder)
    return np.load(folder / "mixed.npy")


def test_defaults_are_those_of_the_formula(engine: Path, style: Style, tmp_path: Path) -> None:
    """Both layers of this engine are at 4×4, so all styles are B's."""
    said = succeeds("mix", "--engine", engine, "--out", "mixed.npy", cwd=tmp_path)
    assert said == "18 images, coarse styles of 6 in 3: mixed.npy\n"
    images = np.load(tmp_path / "mixed.npy")
    assert (images.shape, images.dtype) == ((1, 3, 6, *SHAPE), np.uint8)
    styles = style.styles(normals(0, 0, 6, WIDTH))
    expected = style.synthesis(np.stack([styles] * 2, 1))
    for row in images[0]:
        assert close(row, expected)


@pytest.mark.parametrize("backend", ANY_GRAPH)
@pytest.mark.parametrize("truncation", [0.5, 0, 1.5])
def test_sources_and_truncation(
    engine: Path, style: Style, tmp_path: Path, truncation: float, backend: str
) -> None:
    stored = np.random.default_rng(1).standard_normal((3, WIDTH)).astype(np.float32)
    np.save(tmp_path / "found.npy", stored)
    across = "seed:7", "latent:found.npy:2", "sample:4", "latent:found.npy"
    options = [part for text in across for part in ("--across", text)]
    options += ["--down", "sample:1", "--down", "seed:9", "--seed", str(SEED)]
    options += ["--truncation", str(truncation), "--backend", backend]
    images = run_mix(engine, tmp_path, *options)
    latents: list[Any] = [normals(7, 0, 1, WIDTH), stored[2:], normals(SEED, 4, 1, WIDTH), stored]
    styles = style.styles(np.concatenate(latents), truncation)
    expected = style.synthesis(np.stack([styles] * 2, 1))
    assert images.shape == (1, 2, 6, *SHAPE)
    for row in images[0]:
        assert close(row, expected)
        assert close(row[1], row[5].astype(int))


def count_ink(picture: Any, left: int, top: int, width: int) -> int:
    """Count the pixels that are not white in the label of a tile."""
    return int(
        (picture[top + 2 : top + 2 + grid.LABEL_HEIGHT - 4, left : left + width] < 200).sum()
    )


def test_the_picture(engine: Path, tmp_path: Path) -> None:
    options = ["--across", "seed:1", "--across", "seed:2", "--down", "seed:3", "--down", "seed:4"]
    images = run_mix(engine, tmp_path, *options)[0]
    own = run_mix(engine, tmp_path, *options, "--across", "seed:3", "--across", "seed:4")[0, 0]
    succeeds("mix", "--engine", engine, *options, "--out", "mixed.png", cwd=tmp_path)
    with Image.open(tmp_path / "mixed.png") as opened:
        opened.load()
        assert opened.mode == "RGB"
        picture = np.asarray(opened.convert("L"))
    layout = rows.plan([3, 6], *SHAPE[:2], 3)
    expected = [[None, own[0], own[1]], [own[2], *images[0], own[3], *images[1]]]
    for part, corners, tiles in zip((0, 1), layout.corners, expected, strict=True):
        heading = picture[layout.headings[part] :][: rows.HEADING_HEIGHT]
        assert (heading < 128).sum() > 100
        for index, ((left, top), tile) in enumerate(zip(corners, tiles, strict=True)):
            bottom = top + layout.tile_height
            shown = picture[top:bottom, left : left + layout.tile_width]
            labelled = tile is not None and (part == 0 or index % 3 == 0)
            assert (count_ink(picture, left, bottom, layout.tile_width) > 20) == labelled
            if tile is None:
                assert (shown == 255).all()
            else:
                assert close(shown[::16, ::16], tile[..., 0].astype(int))
                assert np.array_equal(shown, shown[::16, ::16].repeat(16, 0).repeat(16, 1))
    assert (picture[: grid.TITLE_HEIGHT] < 128).sum() > 100


def test_the_layers_of_one_band_are_exchanged(
    engine: Path, style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bands of one layer give this small network two of them."""
    monkeypatch.setattr(style_mixing, "_STARTS", {"coarse": 0, "middle": 1, "fine": 2})
    monkeypatch.chdir(tmp_path)
    from zoo import mix

    args = ["--engine", str(engine), "--out", "mixed.npy", "--bands", "middle,coarse"]
    mix.main(args, standalone_mode=False)
    images = np.load("mixed.npy")
    styles = style.styles(normals(0, 0, 9, WIDTH))
    for index, layer in enumerate((1, 0)):
        for a in range(3):
            both = np.stack([np.tile(styles[6 + a], (6, 1))] * 2, 1)
            assert both.shape == (6, 2, STYLE)
            both[:, layer] = styles[:6]
            assert close(images[index, a], style.synthesis(both))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--bands", "rough"],
            "--bands: expected some of coarse, middle, fine separated by commas",
        ),
        (["--bands", "coarse,coarse"], "--bands: expected some of coarse, middle, fine"),
        (["--bands", ""], "--bands: expected some of coarse, middle, fine"),
        (["--bands", "coarse,fine"], "--bands: small.onnx has 2 layers, only coarse: no fine"),
        (["--truncation", "-0.5"], "truncation: expected a finite number of at least 0, got -0.5"),
        (["--truncation", "nan"], "truncation: expected a finite number of at least 0, got nan"),
        (["--truncation", "inf"], "truncation: expected a finite number of at least 0, got inf"),
        (["--truncation", "1e300"], "truncation: 1e+300 makes styles that are not finite"),
        (["--across", "seed:-1"], "seed:-1: expected seed:K"),
        (["--down", "sample:x"], "sample:x: expected sample:K"),
        (["--down", "latent:none.npy"], "cannot read none.npy: No such file"),
        (["--down", "none.png"], "none.png"),
        (["--out", "mixed.gif"], "cannot write mixed.gif: expected a .png (the grid) or an .npy"),
        (["--out", "mixed"], "cannot write mixed: expected a .png (the grid) or an .npy"),
        (["--out", "none/mixed.png"], "cannot write none/mixed.png: there is no folder"),
        (["--down", "latent:many.npy"], "30009 images of 6×5 make too large a picture"),
        (["--down", "latent:wide.npy"], "wide.npy: expected latents of floats [n, 4]"),
    ],
)
def test_bad_options(engine: Path, tmp_path: Path, options: list[str], words: str) -> None:
    np.save(tmp_path / "many.npy", np.zeros((4286, WIDTH), np.float32))
    np.save(tmp_path / "wide.npy", np.zeros((2, WIDTH + 1), np.float32))
    assert words in refuses("mix", "--engine", engine, *options, cwd=tmp_path)


@pytest.mark.parametrize(
    "options", [["--out", "mixed.gif"], ["--out", "none/a.npy"], ["--bands", "rough"]]
)
def test_options_are_checked_before_the_engine_is_opened(
    tmp_path: Path, options: list[str]
) -> None:
    said = refuses("mix", "--engine", "none.onnx", *options, cwd=tmp_path)
    assert "none.onnx" not in said


def test_other_engines_are_refused(engine: Path, vae_engine: Path, tmp_path: Path) -> None:
    said = refuses("mix", "--engine", vae_engine, cwd=tmp_path)
    expected = "--engine: expected the main file of a style-based generator, but"
    assert f"{expected} vae.onnx is not style-based" in said
    said = refuses("mix", "--engine", engine.with_suffix(".synthesis.onnx"), cwd=tmp_path)
    assert f"{expected} small.synthesis.onnx is its synthesis network" in said
    assert "mapping" in refuses(
        "mix", "--engine", engine.with_suffix(".mapping.onnx"), cwd=tmp_path
    )
    assert "none.onnx" in refuses("mix", "--engine", "none.onnx", cwd=tmp_path)
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(engine.read_bytes())
    said = refuses("mix", "--engine", alone, cwd=tmp_path)
    assert "alone.onnx needs its synthesis network to mix styles" in said
