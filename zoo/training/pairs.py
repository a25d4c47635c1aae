"""Training of translators on pairs of images (Isola et al. 2017, arXiv:1611.07004)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.data import DataSet, Split
from zoo.errors import ConfigError
from zoo.models.generators import to_uint8, torch_noise
from zoo.models.pix2pix import l1_loss
from zoo.training import collapse
from zoo.training.adversarial import AdversarialTask
from zoo.training.pictures import pick_per_class
from zoo.training.projected.game import ProjectedInput
from zoo.training.reconstruction import COLUMNS, psnr, stack_rows
from zoo.training.task import Batch, to_input, to_unit_range

IMAGES = 1000
"""Number of validation images that are generated and measured after each epoch."""


class PairTask(AdversarialTask):
    """Training of a `Pix2Pix`: equation 4."""

    best: str | None = "validation_joint"

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Translate the inputs of the batch."""
        inputs = _load_inputs(batch)
        images: Tensor = model.generator(inputs, torch_noise(inputs))
        return images

    def input_channels(self, model: Any) -> int:
        return int(model.config.input_channels)

    def projected_input(self, model: Any, shown: Tensor, batch: Batch) -> ProjectedInput:
        """Return the images and their inputs."""
        return ProjectedInput(shown, inputs=_load_inputs(batch))

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """Return the logits of images as translations of the batch's inputs."""
        scores: Tensor = model.discriminator(_load_inputs(batch), images)
        return scores

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Return λ times equation 3."""
        return {"l1": model.config.l1 * l1_loss(fake, batch.images)}

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure PSNR in dB and L1 in levels of 255 on the first validation images.

        `validation_gain` is the PSNR minus that of the mean training image.
        """
        count = int(self.options.fid_images) or IMAGES
        truth = data.validation.images[:count]
        outputs = np.concatenate(list(_translate_split(model, data.validation, count)))
        difference = outputs.astype(np.int32) - truth
        mse = float(np.square(difference).mean()) / 255**2
        achieved = psnr(mse)
        mean = data.train.images.mean(0, dtype=np.float64)
        baseline = psnr(float(np.square(mean - truth).mean()) / 255**2)
        measured = {
            "validation_psnr": achieved,
            "validation_gain": achieved - baseline,
            "validation_l1": float(np.abs(difference).mean()),
        }
        measured |= collapse.measure_diversity(outputs, truth)
        measured |= self._measure_overfitting(model, data)
        if self.options.fid_images:
            measured |= self._measure_quality(outputs, data)
        return measured | self._measure_joint(measured, mse)

    @torch.no_grad()
    def picture(self, model: Any, data: DataSet, seed: int) -> np.ndarray:
        """Draw triples of rows: validation inputs above their translations above the targets."""
        rows = pick_per_class(data.validation, 3 * COLUMNS)
        images = to_input(data.validation.images[rows], model)
        inputs = to_input(_get_inputs(data.validation)[rows], model)
        noise = torch_noise(inputs, torch.Generator().manual_seed(seed))
        outputs = model.translate(inputs, noise).float()
        shown = inputs if inputs.shape == images.shape else inputs[:, :1].expand_as(images)
        return stack_rows(shown, outputs, images)


def _get_inputs(split: Split) -> np.ndarray:
    if split.inputs is None:
        raise ConfigError(_UNPAIRED)
    return split.inputs


def _load_inputs(batch: Batch) -> Tensor:
    if batch.inputs is None:
        raise ConfigError(_UNPAIRED)
    return to_unit_range(batch.inputs)


_UNPAIRED = "this model needs a data set of pairs: A_FOLDER:B_FOLDER or pairs:FOLDER"


def _translate_split(
    model: Any, split: Split, count: int, batch: int = 200
) -> Iterator[np.ndarray]:
    """Translate the first inputs with fixed noise; yields uint8 [n, H, W, C]."""
    generator = torch.Generator().manual_seed(1)
    inputs = _get_inputs(split)[:count]
    for start in range(0, len(inputs), batch):
        x = to_input(inputs[start : start + batch], model)
        yield to_uint8(model.translate(x, torch_noise(x, generator)))
