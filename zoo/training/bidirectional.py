"""Training of a bidirectional GAN, whose discriminator classifies pairs of image and latent."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.models.bigan import BiGAN
from zoo.training import batch_statistics
from zoo.training.adversarial import ROWS, SETTLING, AdversarialTask
from zoo.training.games import GAMES
from zoo.training.pictures import pick_per_class
from zoo.training.projected.game import ProjectedInput
from zoo.training.recipe import Recipe
from zoo.training.reconstruction import COLUMNS, psnr, stack_rows
from zoo.training.task import Batch, to_input


class BidirectionalTask(AdversarialTask):
    """The game of Donahue et al. 2016, equation 2, in which the generating side is G and E.

    A pair is one tensor [N, …]: the image's values, then the latent's.
    """

    best: str | None = "validation_joint"

    def __init__(self, recipe: Recipe | None = None) -> None:
        super().__init__(recipe)
        if self.options.loss != "nonsaturating" and not self.options.projected:
            raise ConfigError(
                f"loss must be 'nonsaturating' for a bidirectional GAN, got {self.options.loss!r}"
            )

    def networks(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the discriminator, and generator and encoder."""
        return [model.discriminator], [model.generator, model.encoder]

    def real(self, model: Any, batch: Batch) -> Tensor:
        """Return the pairs (x, E(x))."""
        return _pair(batch.images, model.encoder(batch.images))

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Return the pairs (G(z), z)."""
        z = self.latents(model, len(batch), batch.levels.device)
        return _pair(model.generator(z), z)

    def condition_width(self, model: Any) -> int:
        return int(model.config.latent)

    def projected_input(self, model: Any, shown: Tensor, batch: Batch) -> ProjectedInput:
        """Return the images of pairs, conditioned on their latents."""
        pixels, latents = self._parts(model, shown, batch)
        return ProjectedInput(pixels, latents)

    def _parts(self, model: Any, shown: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        shape = batch.images.shape[1:]
        pixels, latents = shown.split([shape.numel(), model.config.latent], 1)
        return pixels.unflatten(1, shape), latents

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of pairs."""
        scores: Tensor = model.discriminator(*self._parts(model, images, batch))
        return scores

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Return the encoder's loss -log(1 - D(x, E(x))) (section 3.4) and that of the cycle.

        Relativistic losses already train both G and E.
        """
        relative, cycle = GAMES[self.options.loss].relative, model.config.cycle
        if relative and not cycle:
            return {}
        terms = {}
        real = self.real(model, batch)
        if not relative:
            scores = self._judge(model, real, batch).float()
            terms["encoder_loss"] = F.softplus(scores).mean()
        if cycle:
            images, latents = self._parts(model, real, batch)
            terms["cycle"] = cycle * (model.generator(latents).float() - images).abs().mean()
        return terms

    @torch.no_grad()
    def settle(self, model: Any, data: DataSet) -> None:
        """Re-estimate the generator's statistics on samples, the encoder's on training images."""
        super().settle(model, data)
        with batch_statistics.reestimate(model.encoder) as any_norms:
            for first in range(0, min(SETTLING, len(data.train)) if any_norms else 0, ROWS):
                levels = data.train.images[first : first + ROWS]
                model.encoder(to_input(levels, model))

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure as for every generator, and the PSNR in dB of G(E(x)) on validation images."""
        bigan = cast(BiGAN, model)
        images = to_input(data.validation.images[:1000], model)
        error = float((bigan.reconstruct(images) - images).square().mean())
        measured = super().evaluate(model, data)
        return measured | {"validation_psnr": psnr(error)} | self._measure_joint(measured, error)

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw rows of G(z), of x, and of G(E(x)), as in the paper."""
        bigan = cast(BiGAN, model)
        chosen = data.validation.images[pick_per_class(data.validation, 3 * COLUMNS)]
        images = to_input(chosen, model)
        samples = torch.cat(list(self.samples(model, len(images), seed)))
        return stack_rows(samples, images, bigan.reconstruct(images))


def _pair(images: Tensor, latents: Tensor) -> Tensor:
    return torch.cat([images.flatten(1).float(), latents.float()], 1)
