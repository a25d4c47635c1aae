"""Export of a run's weights as one small file; `zoo.models.weights` loads it."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from zoo.errors import TrainingError
from zoo.models.tensors import load_tensors, save_tensors
from zoo.models.weights import KEY, read_config


def save_weights(run_dir: Path, path: Path) -> None:
    """Write a run's weights as fp16 safetensors, with its config.json in the metadata.

    The file is written atomically. Raises `TrainingError` if the run has no checkpoint, or a weight
    that is not finite in fp16.
    """
    config = read_config(run_dir)
    tensors, _ = load_tensors(run_dir / "checkpoint.safetensors")
    half = {
        name: value.half() if value.is_floating_point() else value
        for name, value in tensors.items()
    }
    for name, value in half.items():
        if not torch.isfinite(value).all():
            raise TrainingError(f"{run_dir}: the weight {name} is not finite in fp16")
    save_tensors(path, half, {"format": "pt", KEY: json.dumps(config)})
