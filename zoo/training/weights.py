"""Trained weights: from a run's folder, and as the one small file that is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.errors import TrainingError
from zoo.models import registry
from zoo.training.checkpoint import load_module, load_tensors, save_tensors

KEY = "config"
"""The metadata entry of a weights file that holds the run's config.json."""


def save_weights(run_dir: Path, path: Path) -> None:
    """Write a run's weights as fp16 safetensors, with its config.json in the metadata.

    The file appears whole or not at all. Raises `TrainingError` when the run has no checkpoint,
    or a weight that is not finite in fp16.
    """
    config = _read_config(run_dir)
    tensors, _ = load_tensors(run_dir / "checkpoint.safetensors")
    half = {
        name: value.half() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    for name, value in half.items():
        if not torch.isfinite(value).all():
            raise TrainingError(f"{run_dir}: the weight {name} is not finite in fp16")
    save_tensors(path, half, {"format": "pt", KEY: json.dumps(config)})


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load what `save_weights` wrote: the model, in fp32 and evaluation mode, and its config.json.

    Raises `TrainingError` when the file is missing, damaged, or not of this kind.
    """
    tensors, metadata = load_tensors(path)
    try:
        config: dict[str, Any] = json.loads(metadata[KEY])
    except (KeyError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} carries no model config") from error
    return _make(config, tensors, path), config


def load_run(run_dir: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the model of a run's folder, in evaluation mode, and its config.json.

    Raises `TrainingError` when the folder has no checkpoint.
    """
    config = _read_config(run_dir)
    path = run_dir / "checkpoint.safetensors"
    return _make(config, load_tensors(path)[0], path), config


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load any of them: the folder of a run, a weights file, or an engine file (`.onnx`).

    Raises `TrainingError`, and for an engine what `load_engine` raises.
    """
    if path.suffix == ".onnx":
        return load_engine(path)
    return load_weights(path) if path.is_file() else load_run(path)


def load_engine(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the model of a family of engine files, in evaluation mode, and its config.json.

    `path` is the main file; an encoder is found beside it. Needs the package onnx. Raises
    `TrainingError` for a file without weights that fit, or from before engines said what model
    they are; EngineFileError and its kinds of runtime.errors for what is no engine.
    """
    import onnx
    from onnx import numpy_helper

    from runtime import manifest

    document = manifest.read(path)
    training = document.get("training", {})
    if "config" not in training:
        raise TrainingError(f"{path} does not say how its model was made")
    entry = registry.get(document["model"])
    tensors = {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in document.get("outside", {}).items()
    }
    for name in entry.engine_files(path.stem).values():
        file = path.with_name(name)
        if not file.is_file():
            raise TrainingError(f"the model in {path} needs {file}, which is not there")
        for tensor in onnx.load(file).graph.initializer:
            parameter = tensor.name.removesuffix(".fp16").removeprefix("model.")
            tensors[parameter] = torch.from_numpy(numpy_helper.to_array(tensor).copy()).float()
    config = {
        "model": document["model"],
        "config": training["config"],
        **{key: training.get(key) for key in ("data", "recipe", "seed", "epochs", "metrics")},
        "classes": document.get("classes", []),
        "attributes": document.get("attributes", []),
    }
    model = entry.make(training["config"])
    wanted = model.state_dict().keys()
    load_module(model, {name: tensors[name] for name in wanted if name in tensors}, path)
    return model.eval(), config


def _read_config(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{run_dir} is not the folder of a run: {error}") from error
    return config


def _make(config: dict[str, Any], tensors: dict[str, torch.Tensor], path: Path) -> nn.Module:
    try:
        name, options = config["model"], config["config"]
    except (KeyError, TypeError) as error:
        raise TrainingError(f"{path}: the config does not name a model") from error
    model = registry.get(name).make(options)
    floats = {
        name: value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    load_module(model, floats, path)
    return model.eval()
