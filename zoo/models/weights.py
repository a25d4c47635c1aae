"""Trained weights: from a run's folder, and as the one small file that is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.errors import TrainingError
from zoo.models import registry
from zoo.models.folding import DISCRIMINATOR, fold, inference
from zoo.models.tensors import load_module, load_tensors

KEY = "config"
"""The metadata entry of a weights file that holds the run's config.json."""


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load what `zoo.training.weights.save_weights` wrote.

    Returns the model, in fp32 and evaluation mode, and its config.json. Raises `TrainingError`
    when the file is missing, damaged, or not of this kind.
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
    config = read_config(run_dir)
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

    `path` is the main file; an encoder is found beside it. An adversarial model comes back as
    `zoo.models.folding.inference` makes it, for a discriminator is in no engine. Needs the package
    onnx. Raises `TrainingError` for a file without weights that fit, or from before engines said
    what model they are; EngineFileError and its kinds of runtime.errors for what is no engine.
    """
    document = _manifest_of(path)
    entry, config = registry.get(document["model"]), _config_of(document)
    tensors = {
        name: torch.tensor(value, dtype=torch.float32)
        for name, value in document.get("outside", {}).items()
    }
    for role, name in entry.engine_files(path.stem).items():
        file = path.with_name(name)
        if role in _REPEATED:
            continue
        if not file.is_file():
            raise TrainingError(f"the model in {path} needs {file}, which is not there")
        found = _tensors(file)
        if role == "classifier" and entry.roles[0] != role:
            # It is a part of the discriminator, whose other parts are in no file.
            found = {f"{DISCRIMINATOR}.{name}": value for name, value in found.items()}
        tensors |= found
    model = entry.make(config["config"])
    if hasattr(model, "generator"):
        model = inference(model, "classifier" in entry.roles)
        tensors = {_renamed(name, "decoder", "generator"): tensors[name] for name in tensors}
        own = model.state_dict().items()
        tensors = {k: v for k, v in own if k.startswith(DISCRIMINATOR)} | tensors
    _fill(model, tensors, path)
    return model.eval(), config


def load_generator(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Load what takes latents [N, D] to images [N, C, S, S], and the config.json of its model.

    `path` is the folder of a run, a weights file, or the main engine file, the only one of its
    family that is read; the network, in evaluation mode, is folded (`zoo.models.folding`). It is
    called as `zoo.models.generators` says. Raises as `load`, and `TrainingError` for a model that
    is no generator.
    """
    if path.suffix != ".onnx":
        model, config = load(path)
        return fold(_generator(model, config, path)), config
    document = _manifest_of(path)
    if document["role"] != "generator":
        raise TrainingError(f"{path} has the role {document['role']}, expected generator")
    config = _config_of(document)
    network = fold(_generator(registry.get(document["model"]).make(config["config"]), config, path))
    tensors = {_renamed(name, "decoder", ""): value for name, value in _tensors(path).items()}
    _fill(network, tensors, path)
    return network.eval(), config


def load_synthesis(path: Path) -> nn.Module:
    """Load the second half of a style-based generator from its synthesis file, folded.

    It is the `synthesis` of zoo.models.generators.StyleGenerator. Raises as `load_engine`.
    """
    document = _manifest_of(path)
    if document["role"] != "synthesis":
        raise TrainingError(f"{path} has the role {document['role']}, expected synthesis")
    whole: Any = registry.get(document["model"]).make(_config_of(document)["config"])
    network: nn.Module = fold(whole.generator.synthesis)
    tensors = {_renamed(name, "synthesis", ""): value for name, value in _tensors(path).items()}
    _fill(network, tensors, path)
    return network.eval()


_REPEATED = ("mapping", "synthesis")
"""Roles of files whose weights the generator's file has too."""


def _manifest_of(path: Path) -> dict[str, Any]:
    """The manifest of an engine file that says how its model was made.

    Raises as `load_engine`.
    """
    from runtime import manifest

    document = manifest.verify(path)
    if "config" not in document.get("training", {}):
        raise TrainingError(f"{path} does not say how its model was made")
    return document


def _config_of(document: dict[str, Any]) -> dict[str, Any]:
    """The config.json of the model in an engine file."""
    training = document["training"]
    return {
        "model": document["model"],
        "config": training["config"],
        **{key: training.get(key) for key in ("data", "recipe", "seed", "epochs", "metrics")},
        "classes": document.get("classes", []),
        "attributes": document.get("attributes", []),
    }


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    """The weights in an engine file, by the names of the parameters."""
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
        # A scalar: its shape is that of the parameter.
        tensors[name] = tensors[equal] if equal else torch.zeros(())
    return {name.removeprefix("model."): value for name, value in tensors.items()}


def _fill(module: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Load those of the tensors that the module has; a scalar fills a whole one."""
    own = module.state_dict()
    wanted = {name: value for name, value in tensors.items() if name in own}
    for name, value in wanted.items():
        if value.ndim == 0:
            wanted[name] = value.expand_as(own[name])
    load_module(module, wanted, path)


def _renamed(name: str, old: str, new: str) -> str:
    """The name of a parameter with another first part, or none."""
    if not name.startswith(f"{old}."):
        return name
    rest = name.removeprefix(f"{old}.")
    return f"{new}.{rest}" if new else rest


def _generator(model: Any, config: dict[str, Any], path: Path) -> nn.Module:
    if "generator" not in registry.get(config["model"]).roles:
        raise TrainingError(f"{path}: the model {config['model']} is no generator of latents")
    network: nn.Module = model.generator if hasattr(model, "generator") else model.decoder
    return network


def read_config(run_dir: Path) -> dict[str, Any]:
    """The config.json of a run's folder. Raises `TrainingError`."""
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
