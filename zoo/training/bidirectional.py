"""Training of a bidirectional GAN: the discriminator judges pairs of image and latent."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data import DataSet, normalise
from zoo.errors import ConfigError
from zoo.models.bigan import BiGAN
from zoo.training import batch_statistics
from zoo.training.adversarial import ROWS, SETTLING, AdversarialTask
from zoo.training.games import GAMES
from zoo.training.pictures import one_of_each
from zoo.training.projected.game import Judged
from zoo.training.recipe import Recipe
from zoo.training.reconstruction import COLUMNS, psnr, stacked_rows
from zoo.training.task import Batch


class BidirectionalTask(AdversarialTask):
    """The game of Donahue et al. 2016, equation 2; the generating side is G and E.

    A pair is one tensor: the image's values, then the latent's.
    """

    best: str | None = "validation_joint"

    def __init__(self, recipe: Recipe | None = None) -> None:
        super().__init__(recipe)
        if self.options.loss != "nonsaturating" and not self.options.projected:
            raise ConfigError(f"a bidirectional GAN has no loss {self.options.loss!r}")

    def networks(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """The discriminator; generator and encoder."""
        return [model.discriminator], [model.generator, model.encoder]

    def real(self, model: Any, batch: Batch) -> Tensor:
        """The pairs (x, E(x))."""
        return _pair(batch.images, model.encoder(batch.images))

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """The pairs (G(z), z)."""
        z = self.latents(model, len(batch), batch.levels.device)
        return _pair(model.generator(z), z)

    def condition_width(self, model: Any) -> int:
        """Width of the latent."""
        return int(model.config.latent)

    def judged(self, model: Any, shown: Tensor, batch: Batch) -> Judged:
        """The image of a pair, on the condition of its latent."""
        pixels, latents = self._parts(model, shown, batch)
        return Judged(pixels, latents)

    def _parts(self, model: Any, shown: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        shape = batch.images.shape[1:]
        pixels, latents = shown.split([shape.numel(), model.config.latent], 1)
        return pixels.unflatten(1, shape), latents

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """The logits of pairs."""
        scores: Tensor = model.discriminator(*self._parts(model, images, batch))
        return scores

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """E plays, too: it lowers D(x, E(x)), by -log(1 - D) as G does (section 3.4).

        Where pairs are compared, their loss is E's as well as G's.
        """
        if GAMES[self.options.loss].relative:
            return {}
        scores = self._judge(model, self.real(model, batch), batch).float()
        return {"encoder_loss": F.softplus(scores).mean()}

    @torch.no_grad()
    def settle(self, model: Any, data: DataSet) -> None:
        """As of every generator, and the encoder's batch statistics on training images."""
        super().settle(model, data)
        device = next(model.parameters()).device
        with batch_statistics.measured_anew(model.encoder) as anything:
            for first in range(0, min(SETTLING, len(data.train)) if anything else 0, ROWS):
                levels = data.train.images[first : first + ROWS]
                model.encoder(torch.from_numpy(normalise(levels)).to(device))

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """As of every generator, and the PSNR in dB of G(E(x)) on 1,000 validation images."""
        bigan = cast(BiGAN, model)
        device = next(model.parameters()).device
        images = torch.from_numpy(normalise(data.validation.images[:1000])).to(device)
        error = float((bigan.reconstruct(images) - images).square().mean())
        measured = super().evaluate(model, data)
        return measured | {"validation_psnr": psnr(error)} | self._joint(measured, error)

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """As in the paper: rows of G(z), of x, and of G(E(x))."""
        bigan = cast(BiGAN, model)
        device = next(model.parameters()).device
        chosen = data.validation.images[one_of_each(data.validation, 3 * COLUMNS)]
        images = torch.from_numpy(normalise(chosen)).to(device)
        made = torch.cat(list(self.samples(model, len(images), seed)))
        return stacked_rows(made, images, bigan.reconstruct(images))


def _pair(images: Tensor, latents: Tensor) -> Tensor:
    return torch.cat([images.flatten(1).float(), latents.float()], 1)
