"""Interface between the training loop and a model: losses, updates, metrics, pictures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from zoo.data import DataSet, Split, normalise
from zoo.errors import ConfigError
from zoo.models.entry import ModelEntry, load_class
from zoo.training.recipe import Recipe


class Update(Protocol):
    """Applies losses to the model. `step` counts the finished steps of the run."""

    step: int

    def __call__(self, loss: Tensor, index: int) -> None:
        """Back-propagate a loss and step optimizer `index`."""
        ...

    def autocast(self) -> AbstractContextManager[Any]:
        """Return a context in the recipe's precision, for tasks that are not `wrapped`."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows of the training split on the device: `levels` are the images, uint8 [N, H, W, C].

    `labels` int64 [N], `attributes` int8 [N, K] of ±1 and `inputs` uint8 [N, H, W, C'], from which
    the images are to be generated, are present if the data set has them.
    """

    levels: Tensor
    labels: Tensor | None = None
    attributes: Tensor | None = None
    inputs: Tensor | None = None

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def images(self) -> Tensor:
        """The images as float32 [N, C, H, W] in [0, 1]."""
        return to_unit_range(self.levels)

    def __getitem__(self, rows: slice | Tensor) -> Batch:
        tables = (self.labels, self.attributes, self.inputs)
        return Batch(self.levels[rows], *(None if t is None else t[rows] for t in tables))

    def mirror(self, chosen: Tensor) -> Batch:
        """Return the batch with the chosen images (bool [N]) and their inputs flipped sideways."""
        at = chosen[:, None, None, None]

        def flip(levels: Tensor) -> Tensor:
            return torch.where(at, levels.flip(2), levels)

        inputs = None if self.inputs is None else flip(self.inputs)
        return replace(self, levels=flip(self.levels), inputs=inputs)

    def split(self, parts: int) -> list[Batch]:
        """Split the batch into equal parts, dropping the remainder.

        Raises `ConfigError` if the parts would be empty.
        """
        size = len(self) // parts
        if size == 0:
            raise ConfigError(
                f"discriminator_steps must be at most the {len(self)} images of a step, got {parts}"
            )
        return [self[row : row + size] for row in range(0, size * parts, size)]


def load_rows(split: Split, device: torch.device, count: int | None = None) -> Batch:
    """Load the first rows of a split; images mapped into memory stay in their file."""

    def load(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values[:count])).to(device)

    images = split.images[:count]
    mapped = isinstance(images, np.memmap) and images.flags.writeable and device.type == "cpu"
    levels = torch.from_numpy(images) if mapped else load(images)
    tables = (split.labels, split.attributes, split.inputs)
    return Batch(levels, *(None if t is None else load(t) for t in tables))


def to_unit_range(levels: Tensor) -> Tensor:
    """Convert uint8 [N, H, W, C] to the models' format, float32 [N, C, H, W] in [0, 1]."""
    return levels.permute(0, 3, 1, 2).float() / 255


def to_input(levels: np.ndarray, model: nn.Module) -> Tensor:
    """Convert images uint8 [N, H, W, C] to the model's input on its device, in [0, 1]."""
    return torch.from_numpy(normalise(levels)).to(next(model.parameters()).device)


class Task(Protocol):
    """Trains one family of models; stateless, so that all state is in the model.

    `headline` is the metric of the progress bar. `wrapped` means that `step` only calls the model,
    which is then wrapped for several processes and mixed precision; otherwise it uses the model's
    parts, `update.autocast` sets the precision, and gradients are averaged over the processes.
    `best` is the metric whose minimum selects the best epoch, whose weights are kept beside the
    last ones, or None.
    """

    headline: str
    wrapped: bool
    best: str | None

    def equip(self, model: nn.Module) -> None:
        """Add the submodules that only training needs, before the model moves to its device."""
        ...

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Return the optimizers, over disjoint sets of the model's parameters."""
        ...

    def prepare(self, model: nn.Module, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Prepare a new run, given the unwrapped model; return lines for the log."""
        ...

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Train on a batch; return scalars to average over the epoch.

        `model` may be wrapped for several processes (`wrapped`): only call it then.
        """
        ...

    def settle(self, model: nn.Module, data: DataSet) -> None:
        """Prepare the averaged weights for evaluation, without drawing from the run's generators.

        Statistics are measured on training images.
        """
        ...

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure on the validation images, which select the best epoch.

        Noise comes from a separate generator.
        """
        ...

    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw the model's output, uint8 [H, W] or [H, W, 3], from the same inputs every epoch."""
        ...

    def notes(self, values: dict[str, float]) -> list[str]:
        """Return sentences of advice on an epoch's numbers."""
        ...


class LossTask:
    """Base of tasks with a single loss: one optimizer, no preparation."""

    headline = "loss"
    wrapped = True
    best: str | None = None

    def __init__(self, recipe: Recipe | None = None) -> None:
        if recipe is not None and recipe.adversarial:
            raise ConfigError("the recipe table adversarial is only for adversarial models")

    def equip(self, model: nn.Module) -> None:
        """Add no submodules."""

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Return AdamW over all parameters."""
        return [adamw(list(model.parameters()), recipe)]

    def prepare(self, model: nn.Module, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        return []

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return `loss` and further values to log, as the model's forward does."""
        terms: dict[str, Tensor] = model(batch.images)
        return terms

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        terms = self.terms(model, batch)
        update(terms["loss"], 0)
        return terms

    def settle(self, model: nn.Module, data: DataSet) -> None:
        """Do nothing."""

    def notes(self, values: dict[str, float]) -> list[str]:
        return []


def adamw(parameters: list[nn.Parameter], recipe: Recipe) -> Optimizer:
    """Return AdamW by the recipe; weight decay applies to matrices and kernels, not to biases."""
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, fused=True)


def make_task(entry: ModelEntry, recipe: Recipe | None = None) -> Task:
    """Create the task of a model, with a recipe's options (None: defaults).

    Raises `ConfigError` for an unknown option in the recipe's tables.
    """
    task: Task = load_class(entry.task)(recipe)
    return task
