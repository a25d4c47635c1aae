"""The functions behind the commands, called from Python."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import runtime
import zoo
from zoo.applications.embedding import embed_images
from zoo.applications.interpolation import interpolate_images
from zoo.applications.reconstruction import compare_reconstructions
from zoo.applications.sampling import sample_images
from zoo.errors import ConfigError
from zoo.inference.inputs import Selection
from zoo.inference.inspection import inspect_engine

ENGINE = "vae"


def test_functions_do_what_their_commands_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They write files, return the text to print, and print nothing."""
    monkeypatch.chdir(tmp_path)
    said = sample_images(ENGINE, count=3, seed=5, out="a.npy")
    assert re.fullmatch(r"3 images in \S+ s, \S+ images/s \(\w+\): a\.npy", said)
    images = np.load("a.npy")
    with runtime.Generator(zoo.engine_path(ENGINE)) as generator:
        np.testing.assert_array_equal(images, generator.sample(3, seed=5))
    said = embed_images(Selection(("a.npy",)), ENGINE)[0]
    assert said.startswith("3 images in ") and said.endswith(": latents.npz")
    with runtime.Encoder(zoo.engine_path("vae.encoder")) as encoder:
        np.testing.assert_array_equal(np.load("latents.npz")["latents"], encoder.embed(images))
    text = interpolate_images("seed:1", "seed:2", ENGINE, steps=2, out="b.npy")
    assert text == "3 images from seed:1 to seed:2: b.npy" and len(np.load("b.npy")) == 3
    assert compare_reconstructions(("a.npy",), ENGINE)[1] == "reconstruction.png"
    assert "latent" in inspect_engine(ENGINE)
    assert capsys.readouterr() == ("", "")


def test_their_errors_are_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="--spread requires --from"):
        sample_images(ENGINE, spread=1.0)
    with pytest.raises(ConfigError, match="expected IMAGES or --data SET, got neither"):
        embed_images(Selection(), ENGINE)
    assert list(tmp_path.iterdir()) == []
