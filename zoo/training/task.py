"""What the training loop asks of a model: losses, updates, measurements, a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from zoo.data import DataSet
from zoo.training.recipe import Recipe

Update = Callable[[Tensor, int], None]
"""`update(loss, index)`: back-propagate a loss and let optimizer number `index` take a step."""


class Task(Protocol):
    """How one family of models is trained; stateless, so that all state is in the model.

    `headline` names the metric that the progress line shows.
    """

    headline: str

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Make the optimizers, over disjoint sets of the model's parameters."""
        ...

    def step(self, model: nn.Module, images: Tensor, update: Update) -> dict[str, Tensor]:
        """Train on a batch [N, C, H, W] in [0, 1]; return scalars to average over the epoch.

        `model` may be wrapped for several processes: call it, do not reach into it.
        """
        ...

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure on the test images; draws its noise from a generator of its own."""
        ...

    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw what the model can do, as uint8 [H, W] or [H, W, 3]; the same view every epoch."""
        ...


def adamw(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    """AdamW by the recipe; weight decay applies to matrices and kernels, not to biases."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, fused=True)
