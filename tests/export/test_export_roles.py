"""Export of autoencoders, translators and classifiers, and loading of models from engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

import runtime
from export import pipeline
from export.errors import ParityError
from export.roles import translator
from exported import invoke
from toy_runs import ATTRIBUTES, write_run
from zoo import data
from zoo.errors import DataError, TrainingError
from zoo.models.weights import load_engine, load_run

pytestmark = pytest.mark.usefixtures("quick_throughput")


def toy(channels: int = 1, size: int = 8) -> data.DataSet:
    """Make 90 training and 10 held-out images of noise with two attributes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 120, (100, size, size, channels)).astype(np.uint8)
    attributes = np.where(random.random((100, 2)) < 0.4, 1, -1).astype(np.int8)
    images[attributes[:, 0] > 0] += 120
    images[attributes[:, 1] > 0, :, : size // 2] //= 2
    splits = [data.Split(images[rows], None, attributes[rows]) for rows in (np.s_[:90], np.s_[90:])]
    return data.DataSet("toy", splits[0], splits[1], [], ATTRIBUTES)


def write_npz(path: Path, toy: data.DataSet) -> Path:
    """Write a data set to a file."""
    np.savez(
        path,
        train_images=toy.train.images,
        train_attributes=np.asarray(toy.train.attributes),
        validation_images=toy.validation.images,
        validation_attributes=np.asarray(toy.validation.attributes),
        test_images=toy.test.images,
        test_attributes=np.asarray(toy.test.attributes),
        attribute_names=np.array(toy.attributes),
    )
    return path


AUTOENCODERS: dict[str, dict[str, Any]] = {
    "linear-ae": {"latent": 5},
    "undercomplete-ae": {"latent": 5, "hidden": (12,)},
    "overcomplete-ae": {},
    "stacked-ae": {"latent": 4, "hidden": (20, 10)},
    "sparse-ae": {"latent": 30},
    "sparse-ae-kl": {"latent": 30, "sparsity": "kl"},
    "contractive-ae": {"latent": 20},
    "stochastic-ae": {"latent": 5, "hidden": (12,)},
    "vae": {"latent": 5, "widths": (8, 4, 4), "encoder_widths": (4, 8)},
}


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_autoencoder(name: str, tmp_path: Path) -> None:
    """Both files agree with PyTorch."""
    options = {"image_size": 8, "channels": 1, **AUTOENCODERS[name]}
    model = write_run(tmp_path / "run", name, options)
    files = pipeline.export(tmp_path / "run", tmp_path / "m.onnx", pipeline.Options(weights="fp32"))
    assert [file.path.name for file in files] == ["m.onnx", "m.encoder.onnx"]
    images = toy().train.images[:20]
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        encoded = model.encoder(x)
        mu, *logvars = [encoded.numpy()] if torch.is_tensor(encoded) else map(Tensor.numpy, encoded)
        mean = model.decoder(torch.from_numpy(mu)).clamp(0, 1).double().numpy()
    levels = np.floor(mean.transpose(0, 2, 3, 1) * 255 + 0.5)
    has_prior = name == "vae"
    with runtime.Encoder(tmp_path / "m.encoder.onnx") as encoder:
        assert encoder.deterministic == (name not in ("vae", "stochastic-ae"))
        got, logvar = encoder.encode(images)
        assert np.allclose(got, mu, rtol=1e-4, atol=1e-5)
        assert np.isneginf(logvar).all() == encoder.deterministic
        assert all(np.allclose(logvar, expected, rtol=1e-4, atol=1e-5) for expected in logvars)
    with runtime.Generator(tmp_path / "m.onnx") as generator:
        assert generator.prior == ("normal" if has_prior else "none")
        assert np.abs(generator.decode(mu).astype(float) - levels).max() <= 1
        if not has_prior:
            with pytest.raises(runtime.errors.ArgumentError, match="no prior"):
                generator.sample(2)


def test_latent_statistics_and_directions(tmp_path: Path) -> None:
    images = toy()
    source = write_npz(tmp_path / "toy.npz", images)
    model = write_run(
        tmp_path / "run", "vae", {"image_size": 8, **AUTOENCODERS["vae"]}, str(source)
    )
    pipeline.export(tmp_path / "run", tmp_path / "m.onnx", pipeline.Options(weights="fp32"))
    x = torch.from_numpy(images.train.images.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        mu = model.encoder(x)[0].double().numpy()
    for file in ("m.onnx", "m.encoder.onnx"):
        latent = runtime.manifest.read(tmp_path / file)["latent"]
        assert latent["mean"] == pytest.approx(mu.mean(0), rel=1e-4, abs=1e-5)
        assert latent["std"] == pytest.approx(mu.std(0), rel=1e-4)
    document = runtime.manifest.read(tmp_path / "m.onnx")
    assert document["attributes"] == ATTRIBUTES == list(document["directions"])
    table = np.asarray(images.train.attributes)
    for name, column in zip(ATTRIBUTES, table.T, strict=True):
        expected = mu[column > 0].mean(0) - mu[column < 0].mean(0)
        assert document["directions"][name] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert str(tmp_path) not in json.dumps(document)


def test_statistics_need_the_data_only_if_asked_for(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "linear-ae", {"image_size": 8, "latent": 3}, "gone.npz")
    lines: list[str] = []
    pipeline.export(tmp_path / "run", tmp_path / "m.onnx", progress=lines.append)
    assert any("no latent statistics: gone.npz" in line for line in lines)
    assert "mean" not in runtime.manifest.read(tmp_path / "m.onnx")["latent"]
    (tmp_path / "m.onnx").unlink()
    with pytest.raises(DataError, match=r"gone\.npz"):
        pipeline.export(
            tmp_path / "run", tmp_path / "m.onnx", pipeline.Options(data=str(tmp_path / "gone.npz"))
        )
    assert not (tmp_path / "m.onnx").exists()


TRANSLATORS = {
    "denoising": (3, ["gaussian:0.1-0.2"]),
    "inpainting": (4, ["holes"]),
    "colorization": (1, []),
}


@pytest.mark.parametrize("task", TRANSLATORS)
def test_translator(task: str, tmp_path: Path) -> None:
    channels, specs = TRANSLATORS[task]
    options = {
        "image_size": 16, "channels": 3, "task": task, "widths": (8, 12), "corruption": specs,
    }  # fmt: skip
    model = write_run(tmp_path / "run", f"{task}-ae", options)
    (file,) = pipeline.export(tmp_path / "run", tmp_path / "t.onnx")
    assert file.role == "translator" and file.path == tmp_path / "t.onnx"
    assert len(file.checks) == 2 + 2 * len(
        [text for text in runtime.backends().values() if "unavailable" not in text]
    )
    document = runtime.manifest.read(file.path)
    assert document["task"] == task and document["corruption"] == specs
    assert document["input"]["channels"] == channels
    assert "latent" not in document and "noise" not in document
    random = np.random.default_rng(1)
    inputs = random.integers(0, 256, (9, 16, 16, channels)).astype(np.uint8)
    if task == "inpainting":
        inputs[..., -1] = np.where(inputs[..., -1] < 99, 0, 255)
    x = torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy()).float() / 255
    with torch.no_grad():
        mean = model.translate(x).double().numpy().transpose(0, 2, 3, 1)
    with runtime.Translator(file.path) as translator:
        assert translator.alpha == (task == "inpainting")
        images = translator.translate(inputs)
    # Large weights were rounded to half precision.
    assert np.abs(images - np.floor(mean * 255 + 0.5)).max() <= 2
    if task == "inpainting":
        known = inputs[..., -1] == 255
        assert np.array_equal(images[known], inputs[..., :3][known])


def test_classifier(tmp_path: Path) -> None:
    options = {"image_size": 8, "channels": 1, "widths": (8, 8), "attributes": ATTRIBUTES}
    model = write_run(tmp_path / "run", "face-attributes", options)
    (file,) = pipeline.export(
        tmp_path / "run", tmp_path / "c.onnx", pipeline.Options(weights="fp32")
    )
    images = toy().test.images
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255
    with runtime.Classifier(file.path) as classifier:
        assert classifier.names == ATTRIBUTES and classifier.kind == "multilabel"
        scores = classifier.classify(images)
    assert np.allclose(scores, model.scores(x).detach().numpy(), atol=1e-5)


def test_a_translator_that_fails_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"image_size": 8, "widths": (8,), "corruption": ["masking:0.5"]}
    write_run(tmp_path / "run", "denoising-ae", options)
    monkeypatch.setattr(translator, "levels", lambda mean: np.zeros((64, 8, 8, 1), np.uint8))
    with pytest.raises(ParityError, match="fails 1 of its checks"):
        pipeline.export(tmp_path / "run", tmp_path / "t.onnx")
    assert not (tmp_path / "t.onnx").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stochastic-ae", {"image_size": 8, "latent": 5, "hidden": (12,)}),
        ("vae", {"image_size": 8, **AUTOENCODERS["vae"]}),
        ("inpainting-ae", {"image_size": 8, "task": "inpainting", "widths": (16,)}),
        (
            "face-attributes",
            {"image_size": 8, "channels": 1, "attributes": ATTRIBUTES, "widths": (8, 8)},
        ),
    ],
)
@pytest.mark.parametrize("weights", ["fp16", "fp32"])
def test_models_are_loaded_from_engines(
    name: str, options: dict[str, Any], weights: Any, tmp_path: Path
) -> None:
    """All weights are restored, even those outside of the graphs; a new export is identical."""
    write_run(tmp_path / "run", name, options)
    model, config = load_run(tmp_path / "run")
    pipeline.export(tmp_path / "run", tmp_path / "m.onnx", pipeline.Options(weights=weights))
    loaded, loaded_config = load_engine(tmp_path / "m.onnx")
    state = loaded.state_dict()
    assert list(state) == list(model.state_dict())
    for key, value in model.state_dict().items():
        half = weights == "fp16" and value.numel() >= 1024
        assert torch.equal(state[key], value.half().float() if half else value), key
    assert loaded_config["config"] == config["config"]
    assert loaded_config["attributes"] == ATTRIBUTES
    pipeline.export(tmp_path / "m.onnx", tmp_path / "again.onnx", pipeline.Options(weights=weights))
    first, second = (onnx.load(tmp_path / file).graph for file in ("m.onnx", "again.onnx"))
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(
        deterministic=True
    )


def test_a_model_is_not_loaded_without_its_encoder(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "linear-ae", {"image_size": 8, "latent": 3})
    pipeline.export(tmp_path / "run", tmp_path / "m.onnx")
    (tmp_path / "m.encoder.onnx").unlink()
    with pytest.raises(TrainingError, match=r"m\.encoder\.onnx, which does not exist"):
        load_engine(tmp_path / "m.onnx")


def test_command_refuses_an_interpolator_of_a_translator(tmp_path: Path) -> None:
    write_run(tmp_path / "run", "denoising-ae", {"image_size": 8, "corruption": ["masking:0.5"]})
    result = invoke(tmp_path / "run", "--out", tmp_path / "t.onnx", "--interpolator", "linear")
    assert result.exit_code == 2 and "needs a generator; this is a translator" in result.output
    assert not list(tmp_path.glob("*.onnx"))
