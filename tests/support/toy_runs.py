"""Runs of toy models: folders as training leaves them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from zoo.models import registry

ATTRIBUTES = ["Bright", "Left"]


def save_run(folder: Path, name: str, model: nn.Module, **fields: Any) -> None:
    """Write a run's folder as training leaves it; `fields` replace some of its description."""
    folder.mkdir(parents=True)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    save_file(tensors, folder / "checkpoint.safetensors")
    config: Any = model.config
    description = {
        "model": name,
        "config": asdict(config),
        "data": "toy",
        "recipe": {"data": "toy"},
        "seed": 0,
        "epochs": 1,
        "metrics": {},
        "classes": [],
        "attributes": [],
    }
    (folder / "config.json").write_text(json.dumps(description | fields))


def write_run(folder: Path, name: str, options: dict[str, Any], source: str = "toy") -> Any:
    """Write the run of a model with lively random weights; return the model."""
    torch.manual_seed(0)
    model: Any = registry.get(name).make(options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    save_run(folder, name, model, recipe={"data": source}, attributes=ATTRIBUTES)
    return model
