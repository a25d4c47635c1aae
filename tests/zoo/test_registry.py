"""The registry, and the command that lists it."""

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner

from zoo.errors import ConfigError
from zoo.list import main as list_command
from zoo.models import listing, registry
from zoo.training.task import make_task

ENTRIES = list(registry.MODELS.values())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_entry_is_complete(entry: registry.ModelEntry) -> None:
    torch = pytest.importorskip("torch", reason="training packages")
    from recipes import shipped

    recipe, options = shipped(entry.name)
    model = entry.make(options)
    assert isinstance(model, torch.nn.Module)
    assert dataclasses.is_dataclass(model.config)
    task = make_task(entry)
    assert task.optimizers(model, recipe) and task.headline
    assert entry.paper.url.startswith("https://") and entry.paper.year > 1980


def test_unknown_model_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="unknown model 'vea'; models: linear-ae, .*, vae, "):
        registry.get("vea")


def test_unknown_option_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="vae has no option 'depth'; its options are beta"):
        registry.get("vae").make({"depth": 3})


def test_engine_files() -> None:
    files = registry.get("vae").engine_files()
    assert files == {"generator": "vae.onnx", "encoder": "vae.encoder.onnx"}


def test_list_shows_every_model() -> None:
    result = CliRunner().invoke(list_command, [])
    assert result.exit_code == 0
    for entry in ENTRIES:
        assert f"{entry.name}: " in result.output
        assert entry.paper.title in result.output and entry.paper.url in result.output


def test_list_shows_what_the_manifest_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vae.onnx").write_bytes(bytes(450_000))
    manifest = {
        "role": "generator",
        "parameters": 202_177,
        "image": {"height": 28, "width": 28, "channels": 1},
        "latent": {"width": 32, "prior": "normal"},
        "training": {
            "data": "fashion-mnist",
            "epochs": 25,
            "metrics": {"test_nelbo": 236.123, "test_mse": 0.012345},
        },
        "throughput": {"openvino": {"1": 8270.4, "64": 12820.0}},
    }
    monkeypatch.setattr(listing, "_read", lambda path: manifest)
    text = listing.describe(registry.get("vae"), tmp_path)
    for part in (
        "vae.onnx: 202,177 parameters, 28×28×1 images, latent 32, 0.45 MB",
        "vae.encoder.onnx: not shipped",
        "trained on fashion-mnist, 25 epochs; test_nelbo 236.12; test_mse 0.0123",
        "generator images/s, openvino: 8,270 (batch 1), 12,820 (batch 64)",
    ):
        assert part in text


def test_list_survives_a_damaged_engine(tmp_path: Path) -> None:
    (tmp_path / "vae.onnx").write_bytes(b"not an engine")
    text = listing.describe(registry.get("vae"), tmp_path)
    assert "vae.onnx: " in text and "parameters" not in text
