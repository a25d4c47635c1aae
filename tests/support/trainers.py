"""Trainers of small models, and what is compared of their states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from zoo import data
from zoo.models import registry
from zoo.training import checkpoint
from zoo.training.elbo import ElboTask
from zoo.training.loop import Trainer
from zoo.training.recipe import Recipe
from zoo.training.task import Batch, Update, make_task

MODEL = {"latent": 4, "widths": (8, 4), "encoder_widths": (4, 8), "image_size": 8}


def make_trainer(
    name: str,
    options: dict[str, Any],
    toy: data.DataSet,
    recipe: Recipe,
    out: Path,
    task: ElboTask | None = None,
) -> Trainer:
    """Make a trainer of a new model on the CPU, in the precision of its recipe."""
    AcceleratorState._reset_state(reset_partial_state=True)
    torch.manual_seed(recipe.seed)
    entry = registry.get(name)
    chosen = task or make_task(entry, recipe)
    return Trainer(name, entry.make(options), chosen, toy, recipe, out, cpu=True, quiet=True)


def trainer(toy: data.DataSet, recipe: Recipe, out: Path, task: ElboTask | None = None) -> Trainer:
    return make_trainer("vae", recipe.model, toy, recipe, out, task)


class Hooked(ElboTask):
    """Calls `hook(step)` before each update, and lets it change the loss."""

    def __init__(self, hook: Any) -> None:
        self.hook, self.count = hook, 0

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        self.count += 1
        factor = self.hook(self.count)
        terms = super().step(model, batch, update)
        return {name: value * (factor or 1.0) for name, value in terms.items()}


def states_equal(first: Path, second: Path) -> None:
    one, values = checkpoint.load_state(first / "last" / "state.safetensors")
    two, others = checkpoint.load_state(second / "last" / "state.safetensors")
    assert one.keys() == two.keys()
    assert [name for name in one if not torch.equal(one[name], two[name])] == []
    for document in (values, others):
        document["progress"].pop("seconds")
    assert values == others
