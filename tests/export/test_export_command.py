"""Command of the export: in a shell, for bad checkpoints and arguments, without the runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import runtime
from export import parity
from export.errors import ExportError
from exported import GREY, invoke, write_run
from repository import ROOT
from zoo.models.vae import VAE

pytestmark = pytest.mark.usefixtures("quick_throughput")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grey") / "run"
    write_run(folder, GREY)
    return folder


def test_command(run: Path, tmp_path: Path) -> None:
    """Prints the table on stdout, exits with 0, and writes files that load."""
    result = subprocess.run(
        [sys.executable, "-m", "export", str(run), "--out", "model.onnx"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 0, result.stderr
    assert "image: batch invariance" in result.stdout and "FAILED" not in result.stdout
    assert "images/s" in result.stdout and "Traceback" not in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.encoder.onnx", "model.onnx"]
    with runtime.Generator(tmp_path / "model.onnx") as generator:
        assert generator.sample(3).shape == (3, 12, 12, 1)


def missing(folder: Path) -> None:
    """No checkpoint in the folder."""
    (folder / "checkpoint.safetensors").unlink()


def truncated(folder: Path) -> None:
    """Half a checkpoint."""
    path = folder / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def no_config(folder: Path) -> None:
    """config.json is not JSON."""
    (folder / "config.json").write_text("{")


def unknown_model(folder: Path) -> None:
    """A model that this version does not know."""
    (folder / "config.json").write_text(json.dumps({"model": "diffusion", "config": {}}))


def other_sizes(folder: Path) -> None:
    """Weights that do not fit the config."""
    config = json.loads((folder / "config.json").read_text())
    config["config"]["latent"] = 6
    (folder / "config.json").write_text(json.dumps(config))


def change(value: float) -> Callable[[Path], None]:
    """Replace weights by a value."""

    def damage(folder: Path) -> None:
        model = VAE(GREY)
        with torch.no_grad():
            model.decoder.project.weight[0, 0] = value
            model.decoder.layers[1].weight[0, 0, 0, 0] = value
        save_file(model.state_dict(), folder / "checkpoint.safetensors")

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (missing, "checkpoint.safetensors"),
        (truncated, "checkpoint.safetensors"),
        (no_config, "is not a run's folder"),
        (unknown_model, "diffusion"),
        (other_sizes, "does not match the model"),
        (change(float("nan")), "not finite"),
        (change(float("inf")), "not finite"),
        (change(1e6), "--weights fp32"),
    ],
)
def test_bad_checkpoints(damage: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    """Prints one line, exits with 2, and writes nothing."""
    run = tmp_path / "run"
    write_run(run, GREY)
    damage(run)
    out = tmp_path / "out"
    out.mkdir()
    result = invoke(run, "--out", out / "vae.onnx")
    assert result.exit_code == 2, result.output
    assert words in result.stderr.splitlines()[-1]
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "vae.onnx"], "nowhere"),
        (["{run}"], "--out"),
        (["{run}", "--out", "vae.trt"], ".onnx"),
        (["{run}", "--out", "no/such/folder/vae.onnx"], "no/such/folder"),
        (["{run}", "--out", "folder.onnx"], "not a regular file"),
        (["{run}", "--out", "vae.onnx", "--weights", "int4"], "int4"),
        (["{run}", "--out", "vae.onnx", "--interpolator", "cubic"], "cubic"),
    ],
)
def test_bad_arguments(
    arguments: list[str],
    words: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prints one line, exits with 2, and writes nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.onnx").mkdir()
    result = invoke(*(argument.format(run=run) for argument in arguments))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("error: ") and words in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["folder.onnx"]


def test_without_the_compiled_runtime(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused without --no-runtime-check; with it, the file has no measured speed."""
    monkeypatch.setitem(sys.modules, "runtime", None)
    monkeypatch.delitem(sys.modules, "runtime.manifest", raising=False)
    with pytest.raises(ExportError, match="pip install"):
        parity.import_runtime()
    result = invoke(run, "--out", tmp_path / "vae.onnx")
    assert result.exit_code == 2 and "--no-runtime-check" in result.stderr
    assert not list(tmp_path.iterdir())
    result = invoke(run, "--out", tmp_path / "vae.onnx", "--no-runtime-check")
    assert result.exit_code == 0, result.stderr
    monkeypatch.undo()
    document = runtime.manifest.read(tmp_path / "vae.onnx")
    assert "throughput" not in document and "image: PyTorch" in document["parity"]
