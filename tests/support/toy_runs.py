"""Runs of toy models: folders as training leaves them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from zoo.models import registry

ATTRIBUTES = ["Bright", "Left"]


def write_run(folder: Path, name: str, options: dict[str, Any], source: str = "toy") -> Any:
    """A run's folder as training leaves it, with lively random weights."""
    torch.manual_seed(0)
    model: Any = registry.get(name).make(options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "checkpoint.safetensors")
    description = {
        "model": name,
        "config": asdict(model.config),
        "data": "toy",
        "recipe": {"data": source},
        "seed": 0,
        "epochs": 1,
        "metrics": {"test_mse": 0.01},
        "classes": [],
        "attributes": ATTRIBUTES,
    }
    (folder / "config.json").write_text(json.dumps(description))
    return model
