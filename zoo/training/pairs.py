"""Training of translators on pairs of pictures (Isola et al. 2017, arXiv:1611.07004)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data import DataSet, Split, normalise
from zoo.errors import ConfigError
from zoo.models.generators import to_uint8, torch_noise
from zoo.models.pix2pix import l1_loss
from zoo.training import collapse
from zoo.training.adversarial import AdversarialTask
from zoo.training.pictures import one_of_each
from zoo.training.projected.game import Judged
from zoo.training.reconstruction import COLUMNS, psnr, stacked_rows
from zoo.training.task import Batch, unit

IMAGES = 1000
"""How many of the validation images are made and measured after each epoch."""


class PairTask(AdversarialTask):
    """Training of a `Pix2Pix`: equation 4."""

    best: str | None = "validation_joint"

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Images made from the inputs of the batch."""
        inputs = _inputs(batch)
        images: Tensor = model.generator(inputs, torch_noise(inputs))
        return images

    def input_channels(self, model: Any) -> int:
        """Channels of the images that are translated."""
        return int(model.config.input_channels)

    def judged(self, model: Any, shown: Tensor, batch: Batch) -> Judged:
        """The images, and what they were made from."""
        return Judged(shown, inputs=_inputs(batch))

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """The logits of images as those of the batch's inputs."""
        scores: Tensor = model.discriminator(_inputs(batch), images)
        return scores

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """λ times equation 3."""
        return {"l1": model.config.l1 * l1_loss(fake, batch.images)}

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """PSNR in dB and L1 in levels of 255 of images made from the first validation inputs.

        `validation_gain` is how many dB better that is than the mean training image, pixel by
        pixel.
        """
        count = int(self.options.fid_images) or IMAGES
        truth = data.validation.images[:count]
        made = np.concatenate(list(_made(model, data.validation, count)))
        difference = made.astype(np.int32) - truth
        mse = float(np.square(difference).mean()) / 255**2
        found = psnr(mse)
        mean = data.train.images.mean(0, dtype=np.float64)
        blind = psnr(float(np.square(mean - truth).mean()) / 255**2)
        measured = {
            "validation_psnr": found,
            "validation_gain": found - blind,
            "validation_l1": float(np.abs(difference).mean()),
        }
        measured |= collapse.diversity(made, truth)
        measured |= self._overfitting(model, data)
        if self.options.fid_images:
            measured |= self._quality(made, data)
        return measured | self._joint(measured, mse)

    @torch.no_grad()
    def picture(self, model: Any, data: DataSet, seed: int) -> np.ndarray:
        """Triples of rows: validation inputs above what becomes of them above the originals."""
        device = next(model.parameters()).device
        rows = one_of_each(data.validation, 3 * COLUMNS)
        images = torch.from_numpy(normalise(data.validation.images[rows])).to(device)
        inputs = torch.from_numpy(normalise(_levels(data.validation)[rows])).to(device)
        noise = torch_noise(inputs, torch.Generator().manual_seed(seed))
        made = model.translate(inputs, noise).float()
        shown = inputs if inputs.shape == images.shape else inputs[:, :1].expand_as(images)
        return stacked_rows(shown, made, images)


def _levels(split: Split) -> np.ndarray:
    if split.inputs is None:
        raise ConfigError(_UNPAIRED)
    return split.inputs


def _inputs(batch: Batch) -> Tensor:
    if batch.inputs is None:
        raise ConfigError(_UNPAIRED)
    return unit(batch.inputs)


_UNPAIRED = "this model needs data of pairs: A_FOLDER:B_FOLDER, or pairs:FOLDER"


def _made(model: Any, split: Split, count: int, batch: int = 200) -> Iterator[np.ndarray]:
    """Images made from the first inputs, uint8 [n, H, W, C]; always of the same noise."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(1)
    inputs = _levels(split)[:count]
    for start in range(0, len(inputs), batch):
        given = torch.from_numpy(normalise(inputs[start : start + batch])).to(device)
        yield to_uint8(model.translate(given, torch_noise(given, generator)))
