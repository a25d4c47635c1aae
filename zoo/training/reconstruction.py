"""Training of autoencoders: reconstruction error, further metrics, greedy pretraining."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.data import DataSet, Split
from zoo.models.autoencoder import Autoencoder
from zoo.models.stacked_ae import StackedAE
from zoo.training.pictures import draw_grid, pick_per_class
from zoo.training.recipe import Recipe
from zoo.training.task import LossTask, adamw, load_rows, to_input

COLUMNS = 10


def image_batches(split: Split, model: nn.Module, batch: int = 500) -> Iterator[Tensor]:
    """Yield the images of a split in order, float32 [n, C, H, W] in [0, 1]."""
    for start in range(0, len(split), batch):
        yield to_input(split.images[start : start + batch], model)


def evaluate_autoencoder(model: Autoencoder, split: Split) -> dict[str, float]:
    """Return the means of the model's metrics over a split, and psnr in dB."""
    training = model.training
    model.eval()
    sums: dict[str, float] = {}
    for images in image_batches(split, model):
        for name, values in model.measure(images).items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
    model.train(training)
    means = {name: total / len(split) for name, total in sums.items()}
    return {**means, "psnr": psnr(means["mse"])}


def psnr(mse: float) -> float:
    """Return the peak signal-to-noise ratio in dB for a mean squared error of values in [0, 1]."""
    return -10 * math.log10(max(mse, 1e-12))


class ReconstructionTask(LossTask):
    """Training of an `Autoencoder` by its own loss."""

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Return AdamW over all parameters, with the model's constraint after each step."""
        optimizers = super().optimizers(model, recipe)
        constrain = cast(Autoencoder, model).constrain
        constrain()
        for optimizer in optimizers:
            optimizer.register_step_post_hook(lambda *_: constrain())
        return optimizers

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        measured = evaluate_autoencoder(cast(Autoencoder, model), data.validation)
        return {f"validation_{name}": value for name, value in measured.items()}

    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw four pairs of rows: validation images above their reconstructions."""
        chosen = data.validation.images[pick_per_class(data.validation, 4 * COLUMNS)]
        images = to_input(chosen, model)
        return stack_rows(images, cast(Autoencoder, model).reconstruct(images))


def stack_rows(*layers: Tensor) -> np.ndarray:
    """Interleave the rows of several layers of images [N, C, H, W] in [0, 1], ten per row.

    Row i of every layer comes before row i + 1.
    """
    columns = min(COLUMNS, len(layers[0]))
    rows = torch.stack([layer.unflatten(0, (-1, columns)) for layer in layers], 1)
    return draw_grid(rows.flatten(0, 2).float().cpu().numpy(), columns)


class StackedTask(ReconstructionTask):
    """Training of a `StackedAE`, with greedy pretraining if its config enables it."""

    def prepare(self, model: nn.Module, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Pretrain each layer (from 1); return its mean squared error for each epoch."""
        stacked = cast(StackedAE, model)
        epochs = stacked.config.pretrain_epochs
        lines: list[dict[str, float]] = []
        if not epochs:
            return lines
        codes = load_rows(data.train, next(model.parameters()).device).levels
        order = torch.Generator().manual_seed(recipe.seed)
        for number, (down, up) in enumerate(stacked.pairs(), 1):
            optimizer = adamw([*down.parameters(), *up.parameters()], recipe)
            for epoch in range(1, epochs + 1):
                error = _pretrain_epoch(down, up, codes, optimizer, recipe.batch_size, order)
                lines.append({"layer": number, "epoch": epoch, "mse": error})
            with torch.no_grad():
                parts = [down(_flatten(part)) for part in codes.split(4096)]
            codes = torch.cat(parts)
        return lines


def _flatten(codes: Tensor) -> Tensor:
    """Convert images uint8 [N, H, W, C] to [N, C·H·W] in [0, 1]; return codes unchanged."""
    if codes.dtype != torch.uint8:
        return codes
    return (codes.permute(0, 3, 1, 2).float() / 255).flatten(1)


def _pretrain_epoch(
    down: nn.Module,
    up: nn.Module,
    codes: Tensor,
    optimizer: Optimizer,
    batch_size: int,
    order: torch.Generator,
) -> float:
    """Train a layer and its inverse for one pass; return the mean squared error."""
    total, count = 0.0, 0
    for rows in torch.randperm(len(codes), generator=order).split(batch_size):
        x = _flatten(codes[rows.to(codes.device)])
        error = (up(down(x)) - x).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        total += float(error.detach()) * len(rows)
        count += len(rows)
    return total / count
