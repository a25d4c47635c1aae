"""Faces of 128 pixels through training, export and sampling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runtime
from export import pipeline
from export.pipeline import Options
from zoo import data
from zoo.data import faces


@pytest.mark.slow
def test_faces_of_128_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.training.runs import train_model

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(faces, "COUNT", 40)
    monkeypatch.setattr(faces, "VALIDATION", 12)
    settings = ("widths=[16, 8, 4, 4, 4]", "discriminator_widths=[4, 4, 4, 8, 16]", "latent=4")
    status = train_model(
        "dcgan-faces",
        data="faces:endless",
        image_size=128,
        mirror=True,
        epochs=1,
        batch_size=8,
        epoch_images=16,
        settings=(*settings, "adversarial.fid_images=0"),
        out=tmp_path / "run",
        precision="fp32",
        threads=1,
        cpu=True,
        quiet=True,
    )
    assert status == 0
    assert data.load("faces:endless", 128).train.images.shape == (36, 128, 128, 3)
    pipeline.export(tmp_path / "run", tmp_path / "large.onnx", Options())
    with runtime.Generator(tmp_path / "large.onnx") as generator:
        images = generator.sample(3, seed=1)
    assert images.shape == (3, 128, 128, 3) and images.dtype == np.uint8
    assert images.std() > 0
