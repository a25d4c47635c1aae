"""Training of autoencoders: squared error, what else a model measures, greedy pretraining."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.data import DataSet, Split, normalise
from zoo.models.autoencoder import Autoencoder
from zoo.models.stacked_ae import StackedAE
from zoo.training.pictures import grid, one_of_each
from zoo.training.recipe import Recipe
from zoo.training.task import LossTask, adamw

COLUMNS = 10


def image_batches(split: Split, device: torch.device, batch: int = 500) -> Iterator[Tensor]:
    """The images of a split in order, float32 [n, C, H, W] in [0, 1]."""
    for start in range(0, len(split), batch):
        yield torch.from_numpy(normalise(split.images[start : start + batch])).to(device)


def evaluate_autoencoder(model: Autoencoder, split: Split) -> dict[str, float]:
    """Means over a split of what the model measures, and psnr in dB of its mean squared error."""
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    sums: dict[str, float] = {}
    for images in image_batches(split, device):
        for name, values in model.measure(images).items():
            sums[name] = sums.get(name, 0.0) + float(values.double().sum())
    model.train(training)
    means = {name: total / len(split) for name, total in sums.items()}
    return {**means, "psnr": psnr(means["mse"])}


def psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error in [0, 1]² units."""
    return -10 * math.log10(max(mse, 1e-12))


class ReconstructionTask(LossTask):
    """Training of an `Autoencoder` by the loss that its forward returns."""

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """AdamW over all parameters, after each step of which the model constrains them."""
        made = super().optimizers(model, recipe)
        constrain = cast(Autoencoder, model).constrain
        constrain()
        for optimizer in made:
            optimizer.register_step_post_hook(lambda *_: constrain())
        return made

    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """`evaluate_autoencoder` on the validation images."""
        measured = evaluate_autoencoder(cast(Autoencoder, model), data.validation)
        return {f"validation_{name}": value for name, value in measured.items()}

    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Four pairs of rows: validation images, one of each class in turn, above their copies."""
        device = next(model.parameters()).device
        chosen = data.validation.images[one_of_each(data.validation, 4 * COLUMNS)]
        images = torch.from_numpy(normalise(chosen)).to(device)
        return stacked_rows(images, cast(Autoencoder, model).reconstruct(images))


def stacked_rows(*layers: Tensor) -> np.ndarray:
    """Images [N, C, H, W] in [0, 1] of each layer in rows of ten, row i of all before row i + 1."""
    columns = min(COLUMNS, len(layers[0]))
    rows = torch.stack([layer.unflatten(0, (-1, columns)) for layer in layers], 1)
    return grid(rows.flatten(0, 2).float().cpu().numpy(), columns)


class StackedTask(ReconstructionTask):
    """Training of a `StackedAE`, after greedy pretraining where its config asks for it."""

    def prepare(self, model: nn.Module, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Pretrain; one line per layer (from 1) and epoch with the mean squared error of a code."""
        stacked = cast(StackedAE, model)
        epochs = stacked.config.pretrain_epochs
        lines: list[dict[str, float]] = []
        if not epochs:
            return lines
        device = next(model.parameters()).device
        codes = torch.from_numpy(np.array(data.train.images)).to(device)
        order = torch.Generator().manual_seed(recipe.seed)
        for number, (down, up) in enumerate(stacked.pairs(), 1):
            optimizer = adamw([*down.parameters(), *up.parameters()], recipe)
            for epoch in range(1, epochs + 1):
                error = _pretrain_epoch(down, up, codes, optimizer, recipe.batch_size, order)
                lines.append({"layer": number, "epoch": epoch, "mse": error})
            with torch.no_grad():
                parts = [down(_flat(part)) for part in codes.split(4096)]
            codes = torch.cat(parts)
        return lines


def _flat(codes: Tensor) -> Tensor:
    """Images uint8 [N, H, W, C] as [N, C·H·W] in [0, 1]; codes as they are."""
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
    """One pass of a layer and its inverse over the codes; returns the mean squared error."""
    total, count = 0.0, 0
    for rows in torch.randperm(len(codes), generator=order).split(batch_size):
        x = _flat(codes[rows.to(codes.device)])
        error = (up(down(x)) - x).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        total += float(error.detach()) * len(rows)
        count += len(rows)
    return total / count
