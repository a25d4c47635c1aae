"""Training of translators: damage a batch, learn to undo it."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo import corruption
from zoo.data import DataSet, normalise
from zoo.errors import ConfigError
from zoo.models.translators import Translator, TranslatorConfig
from zoo.training.pictures import one_of_each
from zoo.training.recipe import Recipe
from zoo.training.reconstruction import COLUMNS, psnr, stacked_rows
from zoo.training.task import Batch, LossTask

IMAGES = 1000
"""How many of the validation images are damaged and measured after each epoch."""


def damages(config: TranslatorConfig) -> list[corruption.Corruption]:
    """What a translator learns to undo; none for colorization. Raises `ConfigError`."""
    if config.task == "colorization":
        return []
    parsed = [corruption.parse(spec) for spec in config.corruption]
    if not parsed or any(damage.alpha != config.alpha for damage in parsed):
        expected = "['holes']" if config.alpha else "noises such as ['gaussian:0.1-0.4']"
        raise ConfigError(
            f"corruption must be {expected} for {config.task}, got {list(config.corruption)}"
        )
    return parsed


def damaged(images: np.ndarray, config: TranslatorConfig, seed: int) -> np.ndarray:
    """Images uint8 [N, H, W, C] as the translator gets them, uint8 [N, H, W, C'].

    Of several damages each is done to every so-many-th image.
    """
    kinds = damages(config)
    if not kinds:
        return corruption.grey(images)
    result = np.empty((*images.shape[:3], config.input_channels), np.uint8)
    for index, kind in enumerate(kinds):
        result[index :: len(kinds)] = kind.apply(images[index :: len(kinds)], seed)
    return result


def _tensor(images: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(normalise(images)).to(device)


class TranslationTask(LossTask):
    """Training of a `Translator` on images that are damaged on the way."""

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """AdamW over all parameters; raises `ConfigError` for damage that does not fit the task."""
        damages(cast(Translator, model).config)
        return super().optimizers(model, recipe)

    def terms(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The loss on the batch, damaged by a seed from PyTorch's generator."""
        config = cast(Translator, getattr(model, "module", model)).config
        seed = int(torch.randint(2**62, ()))
        inputs = _tensor(damaged(batch.levels.cpu().numpy(), config, seed), batch.levels.device)
        terms: dict[str, Tensor] = model(inputs, batch.images)
        return terms

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """PSNR in dB of validation images, damaged by seed 0, and the gain over the input.

        One pair a damage; for inpainting of the hidden pixels only and without a gain, for
        colorization without a gain.
        """
        translator = cast(Translator, model)
        images = data.validation.images[:IMAGES]
        if not damages(translator.config):
            return {"validation_psnr": psnr(_error(translator, corruption.grey(images), images)[0])}
        measured: dict[str, float] = {}
        kinds = [damage.kind for damage in damages(translator.config)]
        for damage in damages(translator.config):
            inputs = damage.apply(images, seed=0)
            after, before = _error(translator, inputs, images)
            name = damage.kind if kinds.count(damage.kind) == 1 else str(damage)
            suffix = "" if damage.alpha else f"_{name}"
            measured[f"validation_psnr{suffix}"] = psnr(after)
            if not damage.alpha:
                measured[f"validation_gain{suffix}"] = psnr(after) - psnr(before)
        return measured

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Triples of rows: damaged images above what becomes of them above the originals."""
        translator = cast(Translator, model)
        device = next(model.parameters()).device
        chosen = data.validation.images[one_of_each(data.validation, 3 * COLUMNS)]
        inputs = _tensor(damaged(chosen, translator.config, seed), device)
        shown = inputs[:, :-1] if translator.config.alpha else inputs
        images = _tensor(chosen, device)
        return stacked_rows(shown.expand_as(images), translator.translate(inputs), images)


def _error(
    translator: Translator, inputs: np.ndarray, images: np.ndarray, batch: int = 250
) -> tuple[float, float]:
    """Mean squared error of the translated and of the damaged images, of hidden pixels only if
    there is a mask; the second is 0 where input and image differ in channels."""
    device = next(translator.parameters()).device
    after = before = count = 0.0
    for start in range(0, len(images), batch):
        given = _tensor(inputs[start : start + batch], device)
        wanted = _tensor(images[start : start + batch], device)
        made = translator.translate(given)
        hidden = 1 - given[:, -1:] if translator.config.alpha else torch.ones_like(wanted[:, :1])
        after += float(((made - wanted).square() * hidden).sum())
        if given.shape == wanted.shape:
            before += float((given - wanted).square().sum())
        count += float(hidden.sum()) * wanted.shape[1]
    return after / count, before / count
