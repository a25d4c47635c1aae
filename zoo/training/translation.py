"""Training of image restoration: corrupt a batch, learn to undo it."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo import corruption
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.models.translators import Translator, TranslatorConfig
from zoo.training.pictures import pick_per_class
from zoo.training.recipe import Recipe
from zoo.training.reconstruction import COLUMNS, psnr, stack_rows
from zoo.training.task import Batch, LossTask, to_input

IMAGES = 1000
"""Number of validation images that are corrupted and measured after each epoch."""


def parse_corruptions(config: TranslatorConfig) -> list[corruption.Corruption]:
    """Return the corruptions a translator learns to undo; raises `ConfigError`."""
    if config.task == "colorization":
        return []
    parsed = [corruption.parse(spec) for spec in config.corruption]
    if not parsed or any(entry.alpha != config.alpha for entry in parsed):
        expected = "['holes']" if config.alpha else "noises such as ['gaussian:0.1-0.4']"
        raise ConfigError(
            f"corruption must be {expected} for {config.task}, got {list(config.corruption)}"
        )
    return parsed


def corrupt(images: np.ndarray, config: TranslatorConfig, seed: int) -> np.ndarray:
    """Corrupt images uint8 [N, H, W, C] to the translator's inputs, uint8 [N, H, W, C'].

    Several corruptions take turns.
    """
    kinds = parse_corruptions(config)
    if not kinds:
        return corruption.grey(images)
    result = np.empty((*images.shape[:3], config.input_channels), np.uint8)
    for index, kind in enumerate(kinds):
        result[index :: len(kinds)] = kind.apply(images[index :: len(kinds)], seed)
    return result


class TranslationTask(LossTask):
    """Training of a `Translator` on images that are corrupted on the fly."""

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Return AdamW; raises `ConfigError` for a corruption that does not fit the task."""
        parse_corruptions(cast(Translator, model).config)
        return super().optimizers(model, recipe)

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Return the loss on the batch, corrupted with a seed from PyTorch's generator."""
        config = cast(Translator, getattr(model, "module", model)).config
        seed = int(torch.randint(2**62, ()))
        inputs = to_input(corrupt(batch.levels.cpu().numpy(), config, seed), model)
        terms: dict[str, Tensor] = model(inputs, batch.images)
        return terms

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure PSNR in dB of validation images corrupted by seed 0, and its gain over the input.

        One pair per corruption; for inpainting, PSNR of the hidden pixels only; no gain for
        inpainting and colorization.
        """
        translator = cast(Translator, model)
        images = data.validation.images[:IMAGES]
        corruptions = parse_corruptions(translator.config)
        if not corruptions:
            return {
                "validation_psnr": psnr(
                    _measure_error(translator, corruption.grey(images), images)[0]
                )
            }
        measured: dict[str, float] = {}
        kinds = [entry.kind for entry in corruptions]
        for entry in corruptions:
            inputs = entry.apply(images, seed=0)
            after, before = _measure_error(translator, inputs, images)
            name = entry.kind if kinds.count(entry.kind) == 1 else str(entry)
            suffix = "" if entry.alpha else f"_{name}"
            measured[f"validation_psnr{suffix}"] = psnr(after)
            if not entry.alpha:
                measured[f"validation_gain{suffix}"] = psnr(after) - psnr(before)
        return measured

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw triples of rows: corrupted images above their restorations above the originals."""
        translator = cast(Translator, model)
        chosen = data.validation.images[pick_per_class(data.validation, 3 * COLUMNS)]
        inputs = to_input(corrupt(chosen, translator.config, seed), model)
        shown = inputs[:, :-1] if translator.config.alpha else inputs
        images = to_input(chosen, model)
        return stack_rows(shown.expand_as(images), translator.translate(inputs), images)


def _measure_error(
    translator: Translator, inputs: np.ndarray, images: np.ndarray, batch: int = 250
) -> tuple[float, float]:
    """Return the mean squared errors of the outputs and of the inputs.

    With a mask, over hidden pixels only. The second is 0 if inputs and images differ in channels.
    """
    after = before = count = 0.0
    for start in range(0, len(images), batch):
        x = to_input(inputs[start : start + batch], translator)
        targets = to_input(images[start : start + batch], translator)
        hidden = 1 - x[:, -1:] if translator.config.alpha else torch.ones_like(targets[:, :1])
        after += float(((translator.translate(x) - targets).square() * hidden).sum())
        if x.shape == targets.shape:
            before += float((x - targets).square().sum())
        count += float(hidden.sum()) * targets.shape[1]
    return after / count, before / count
