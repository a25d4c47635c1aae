"""Trainers of small adversarial models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from zoo.data import DataSet
from zoo.models import registry
from zoo.training.loop import Trainer
from zoo.training.recipe import Recipe
from zoo.training.task import make_task

SIZES: dict[str, dict[str, Any]] = {
    "gan": {"latent": 4, "widths": (16,), "discriminator_widths": (16,), "image_size": 8},
    "dcgan": {"latent": 4, "widths": (8,), "discriminator_widths": (8,), "image_size": 8},
    "cgan": {
        "latent": 4,
        "widths": (8,),
        "discriminator_widths": (8,),
        "image_size": 8,
        "classes": 2,
    },
    "bigan": {
        "latent": 4,
        "widths": (8,),
        "discriminator_widths": (8,),
        "encoder_widths": (8,),
        "joint": 16,
        "image_size": 8,
    },
}


def trainer(name: str, toy: DataSet, recipe: Recipe, out: Path, **sizes: Any) -> Trainer:
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.manual_seed(recipe.seed)
    entry = registry.get(name)
    model = entry.make({**SIZES[name], **sizes})
    return Trainer(name, model, make_task(entry, recipe), toy, recipe, out, cpu=True, quiet=True)


class Counting:
    """An update that changes nothing and remembers what it was asked for."""

    step = 0

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gradients: list[set[str]] = []
        self.model: nn.Module | None = None

    def __call__(self, loss: Tensor, index: int) -> None:
        assert self.model is not None
        self.model.zero_grad()
        loss.backward()
        self.calls.append(index)
        self.gradients.append(
            {name.split(".")[0] for name, p in self.model.named_parameters() if p.grad is not None}
        )

    def autocast(self) -> Any:
        return torch.autocast("cpu", enabled=False)
