"""Loading of trained weights: from a run's folder, a weights file or engine files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.errors import TrainingError
from zoo.models import registry
from zoo.models.folding import DISCRIMINATOR, fold, to_inference
from zoo.models.generators import is_style_based
from zoo.models.stylegan import FoldedSynthesis
from zoo.models.tensors import load_module, load_tensors

KEY = "config"
"""The metadata entry of a weights file that holds the run's config.json."""


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a file written by `zoo.training.weights.save_weights`.

    Returns the model, in fp32 and evaluation mode, and its config.json. Raises `TrainingError` if
    the file is missing, damaged, or of another kind.
    """
    tensors, metadata = load_tensors(path)
    try:
        config: dict[str, Any] = json.loads(metadata[KEY])
    except (KeyError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} holds no model config") from error
    return _build(config, tensors, path), config


def load_run(run_dir: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the model of a run's folder, in evaluation mode, and its config.json.

    Raises `TrainingError` if the folder has no checkpoint.
    """
    config = read_config(run_dir)
    path = run_dir / "checkpoint.safetensors"
    return _build(config, load_tensors(path)[0], path), config


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a model from a run's folder, a weights file, or an engine file (`.onnx`).

    Raises `TrainingError`, and for an engine the errors of `load_engine`.
    """
    if path.suffix == ".onnx":
        return load_engine(path)
    return load_weights(path) if path.is_file() else load_run(path)


def load_engine(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load the model of a family of engine files, in evaluation mode, and its config.json.

    `path` is the main file; the other files are expected beside it. Engine files hold no
    discriminator, so an adversarial model is returned in its inference form (`zoo.models.folding`).
    Needs the package onnx. Raises `TrainingError` if the weights do not match, a file is missing,
    or the engine predates the model config in manifests; EngineFileError and its subclasses
    (runtime.errors) if the file is not an engine.
    """
    document = _read_manifest(path)
    entry, config = registry.get(document["model"]), _extract_config(document)
    tensors = {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in document.get("outside", {}).items()
    }
    for role, name in entry.engine_files(path.stem).items():
        file = path.with_name(name)
        if role in _REPEATED:
            continue
        if not file.is_file():
            raise TrainingError(f"the model in {path} needs {file}, which does not exist")
        weights = _read_tensors(file)
        if role == "classifier" and entry.roles[0] != role:
            # Engine files hold no other part of the discriminator.
            weights = {f"{DISCRIMINATOR}.{name}": value for name, value in weights.items()}
        tensors |= weights
    model = entry.make(config["config"])
    if hasattr(model, "generator"):
        model = to_inference(model, "classifier" in entry.roles)
        tensors = {_rename(name, "decoder", "generator"): tensors[name] for name in tensors}
        own = model.state_dict().items()
        tensors = {k: v for k, v in own if k.startswith(DISCRIMINATOR)} | tensors
        _draw_as(model.generator, document)
    _fill(model, tensors, path)
    return model.eval(), config


def load_generator(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load a generator from latents [N, D] to images [N, C, S, S], and its model's config.json.

    `path` is a run's folder, a weights file, or the main engine file, the only one of its family
    that is read. The network is folded (`zoo.models.folding`), in evaluation mode, and is called as
    in `zoo.models.generators`. Raises as `load`, and `TrainingError` if the model has no generator.
    """
    if path.suffix != ".onnx":
        model, config = load(path)
        return fold(_get_generator(model, config, path)), config
    document = _read_manifest(path)
    if document["role"] != "generator":
        raise TrainingError(f"{path} has the role {document['role']}, expected generator")
    config = _extract_config(document)
    model = registry.get(document["model"]).make(config["config"])
    network = fold(_get_generator(model, config, path))
    tensors = {_rename(name, "decoder", ""): value for name, value in _read_tensors(path).items()}
    _draw_as(network, document)
    _fill(network, tensors, path)
    return network.eval(), config


def load_synthesis(path: Path) -> nn.Module:
    """Load the synthesis network of a style-based generator from its engine file, folded.

    This is the `synthesis` of zoo.models.generators.StyleGenerator. Raises as `load_engine`.
    """
    document = _read_manifest(path)
    if document["role"] != "synthesis":
        raise TrainingError(f"{path} has the role {document['role']}, expected synthesis")
    whole: Any = registry.get(document["model"]).make(_extract_config(document)["config"])
    network: nn.Module = fold(whole.generator.synthesis)
    tensors = {_rename(name, "synthesis", ""): value for name, value in _read_tensors(path).items()}
    _draw_as(network, document)
    _fill(network, tensors, path)
    return network.eval()


_REPEATED = ("mapping", "synthesis")
"""Roles whose files hold only weights that the generator's file has too."""


def _read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of an engine file that includes its model's config.

    Raises as `load_engine`.
    """
    from runtime import manifest

    document = manifest.verify(path)
    if "config" not in document.get("training", {}):
        raise TrainingError(f"{path} was exported without its model's config")
    return document


def _extract_config(document: dict[str, Any]) -> dict[str, Any]:
    """Return the config.json of the model in an engine file."""
    training = document["training"]
    return {
        "model": document["model"],
        "config": training["config"],
        **{key: training.get(key) for key in ("data", "recipe", "seed", "epochs", "metrics")},
        "classes": document.get("classes", []),
        "attributes": document.get("attributes", []),
    }


def _read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """Return the weights in an engine file by parameter name."""
    import onnx
    from onnx import numpy_helper

    from runtime import manifest

    tensors = {
        tensor.name.removesuffix(".fp16"): torch.from_numpy(
            numpy_helper.to_array(tensor).copy()
        ).float()
        for tensor in onnx.load(file).graph.initializer
    }
    for name, equal in manifest.read(file).get("left_out", {}).items():
        # A scalar stands for a parameter of any shape.
        tensors[name] = tensors[equal] if equal else torch.zeros(())
    return {name.removeprefix("model."): value for name, value in tensors.items()}


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load the tensors that the module has; a scalar is broadcast to the parameter's shape."""
    own = module.state_dict()
    matching = {name: value for name, value in tensors.items() if name in own}
    for name, value in matching.items():
        if value.ndim == 0:
            matching[name] = value.expand_as(own[name])
    load_module(module, matching, path)


def _draw_as(network: Any, document: dict[str, Any]) -> None:
    """Let a style-based network draw the noise streams that its engine file draws."""
    synthesis = network.synthesis if is_style_based(network) else network
    if isinstance(synthesis, FoldedSynthesis):
        streams = document["noise"]["streams"]["layers"]
        synthesis.noise_widths = tuple(stream["width"] for stream in streams)


def _rename(name: str, old: str, new: str) -> str:
    """Replace or remove the first component of a parameter's name."""
    if not name.startswith(f"{old}."):
        return name
    rest = name.removeprefix(f"{old}.")
    return f"{new}.{rest}" if new else rest


def _get_generator(model: Any, config: dict[str, Any], path: Path) -> nn.Module:
    if "generator" not in registry.get(config["model"]).roles:
        raise TrainingError(f"{path}: the model {config['model']} has no generator")
    network: nn.Module = model.generator if hasattr(model, "generator") else model.decoder
    return network


def read_config(run_dir: Path) -> dict[str, Any]:
    """Read the config.json of a run's folder; raises `TrainingError`."""
    path = run_dir / "config.json"
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{run_dir} is not a run's folder: {error}") from error
    return config


def _build(config: dict[str, Any], tensors: dict[str, torch.Tensor], path: Path) -> nn.Module:
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
