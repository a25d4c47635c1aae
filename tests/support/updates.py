"""Optimizer steps as the training loop takes them, without a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.training.recipe import Recipe
from zoo.training.task import Batch


def step_once(
    task: Any, model: nn.Module, batch: Batch, recipe: Recipe | None = None
) -> tuple[dict[str, Tensor], set[str]]:
    """Take a step; return its finite terms, and the names of the tensors that it has changed."""
    update = Updates(task.optimizers(model, recipe or Recipe()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    terms = task.step(model, batch, update)
    assert all(torch.isfinite(value) for value in terms.values())
    after = model.state_dict()
    return terms, {name for name in after if not torch.equal(after[name], before[name])}


class Updates:
    """An `Update` of some optimizers that remembers the last loss for each."""

    step = 0

    def __init__(self, optimizers: Sequence[Optimizer] = (), half: bool = False) -> None:
        self.optimizers, self.half = optimizers, half
        self.losses: dict[int, float] = {}

    def autocast(self) -> Any:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.half)

    def __call__(self, loss: Tensor, index: int) -> None:
        self.losses[index] = float(loss.detach())
        if self.optimizers:
            self.optimizers[index].zero_grad()
            loss.backward()
            self.optimizers[index].step()
