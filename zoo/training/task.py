"""What the training loop asks of a model: losses, updates, measurements, a picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.models.entry import ModelEntry, load_class
from zoo.training.recipe import Recipe


class Update(Protocol):
    """How a task changes the model. `step` counts the finished steps of the run."""

    step: int

    def __call__(self, loss: Tensor, index: int) -> None:
        """Back-propagate a loss and let optimizer number `index` take a step."""
        ...

    def autocast(self) -> AbstractContextManager[Any]:
        """The recipe's precision, for forward passes of a task that is not `wrapped`."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows of the training split on the device: `levels` are the images, uint8 [N, H, W, C].

    `labels` int64 [N], `attributes` int8 [N, K] of ±1 and `inputs` uint8 [N, H, W, C'], from which
    the images are to be made, are there where the data set has them.
    """

    levels: Tensor
    labels: Tensor | None = None
    attributes: Tensor | None = None
    inputs: Tensor | None = None

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def images(self) -> Tensor:
        """The images as models take them, float32 [N, C, H, W] in [0, 1]."""
        return unit(self.levels)

    def split(self, parts: int) -> list[Batch]:
        """The batch in equal parts; what does not divide is left out.

        Raises `ConfigError` where there would be nothing in a part.
        """
        size = len(self) // parts
        if size == 0:
            raise ConfigError(
                f"discriminator_steps: {len(self)} images of a step cannot be cut into {parts}"
            )
        places = [slice(row, row + size) for row in range(0, size * parts, size)]
        tables = (self.labels, self.attributes, self.inputs)
        return [
            Batch(self.levels[place], *(None if t is None else t[place] for t in tables))
            for place in places
        ]


def unit(levels: Tensor) -> Tensor:
    """Levels uint8 [N, H, W, C] as models take images, float32 [N, C, H, W] in [0, 1]."""
    return levels.permute(0, 3, 1, 2).float() / 255


class Task(Protocol):
    """How one family of models is trained; stateless, so that all state is in the model.

    `headline` names the metric that the progress line shows. `wrapped` says that `step` only calls
    the model, which is then wrapped for several processes and mixed precision; otherwise it reaches
    into the model, asks `update.autocast` for the precision, and the gradients are averaged over
    the processes. `best` names the measurement that is least at the best epoch, whose weights are
    kept beside the last ones, or is None.
    """

    headline: str
    wrapped: bool
    best: str | None

    def equip(self, model: nn.Module) -> None:
        """Add the submodules that only training needs, before the model goes to its device."""
        ...

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Make the optimizers, over disjoint sets of the model's parameters."""
        ...

    def prepare(self, model: nn.Module, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Called once before a new run, on the unwrapped model; returns lines for the log."""
        ...

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Train on a batch; return scalars to average over the epoch.

        `model` may be wrapped for several processes (`wrapped`): call it, do not reach into it.
        """
        ...

    def settle(self, model: nn.Module, data: DataSet) -> None:
        """Make the averaged weights ready to be measured; draws no noise of the run.

        What it measures for that it measures on training images.
        """
        ...

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure on the validation images, for what it says chooses the epoch.

        Draws its noise from a generator of its own.
        """
        ...

    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw what the model can do, as uint8 [H, W] or [H, W, 3]; the same view every epoch."""
        ...

    def notes(self, values: dict[str, float]) -> list[str]:
        """What somebody should know about these numbers of an epoch, a sentence each."""
        ...


class LossTask:
    """The part of a task that models of one loss share: one optimizer, nothing to prepare."""

    headline = "loss"
    wrapped = True
    best: str | None = None

    def __init__(self, recipe: Recipe | None = None) -> None:
        if recipe is not None and recipe.adversarial:
            raise ConfigError("the table adversarial of the recipe is for adversarial models")

    def equip(self, model: nn.Module) -> None:
        """Add nothing."""

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """AdamW over all parameters."""
        return [adamw(list(model.parameters()), recipe)]

    def prepare(self, model: nn.Module, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Do nothing."""
        return []

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """`loss`, and what else to log, as the model's forward returns them."""
        terms: dict[str, Tensor] = model(batch.images)
        return terms

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Take one step down the loss."""
        terms = self.terms(model, batch)
        update(terms["loss"], 0)
        return terms

    def settle(self, model: nn.Module, data: DataSet) -> None:
        """Do nothing: the averaged weights are ready."""

    def notes(self, values: dict[str, float]) -> list[str]:
        """Nothing."""
        return []


def adamw(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    """AdamW by the recipe; weight decay applies to matrices and kernels, not to biases."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, fused=True)


def make_task(entry: ModelEntry, recipe: Recipe | None = None) -> Task:
    """Make the object that trains a model, as the recipe says (None: by defaults).

    Raises `ConfigError` for an option in the recipe's tables that the task has not.
    """
    task: Task = load_class(entry.task)(recipe)
    return task
