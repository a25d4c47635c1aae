"""Checkpoints: tensors in safetensors and everything else as JSON in the same file, no pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from zoo.errors import TrainingError
from zoo.models.tensors import load_tensors, save_tensors

KEY = "zoo.state"
"""Metadata entry of a state file with its JSON document."""


def pack_optimizer(optimizer: Optimizer, prefix: str) -> dict[str, Tensor]:
    """Return the optimizer's tensors (Adam's moments and step counts) as `<prefix><row>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}{row}.{name}": torch.as_tensor(value)
        for row, entries in state.items()
        for name, value in entries.items()
    }


def unpack_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor], prefix: str) -> None:
    """Restore the tensors of `pack_optimizer`; hyperparameters stay those of the optimizer."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in select(tensors, prefix).items():
        row, name = key.split(".", 1)
        like = parameters[int(row)]
        if value.shape == like.shape:
            # A fused optimizer needs its moments in the memory layout of the weights.
            value = torch.empty_like(like, requires_grad=False).copy_(value)
        state.setdefault(int(row), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def random_state(device: torch.device) -> dict[str, Tensor]:
    """Return the state of PyTorch's generators: `cpu`, and `device` on a GPU; uint8 vectors."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["device"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Restore the result of `random_state`."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "device" in state:
        torch.cuda.set_rng_state(state["device"], device)


def save_state(path: Path, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
    """Write tensors and a JSON document as one file, so that they are always consistent."""
    save_tensors(path, tensors, {KEY: json.dumps(values)})


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by `save_state`; raises `TrainingError` for any other file."""
    tensors, metadata = load_tensors(path)
    try:
        values: dict[str, Any] = json.loads(metadata[KEY])
    except (KeyError, json.JSONDecodeError) as error:
        raise TrainingError(f"{path} is not the state of a training run") from error
    return tensors, values


def select(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix`, with the prefix removed."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
