"""Pixel metrics of translated images beside those of their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from zoo.applications import quality
from zoo.applications.comparison import Mean
from zoo.applications.translation import Translated
from zoo.evaluation.features import Images
from zoo.evaluation.report import Metric

PSNR, INSIDE, SSIM, L1 = "PSNR [dB]", "PSNR in holes [dB]", "SSIM", "L1 [levels]"


class Pixels:
    """Means over the images that go through it, where it is known what they should be."""

    def __init__(self) -> None:
        self._means = {name: Mean() for name in (PSNR, INSIDE, SSIM, L1)}

    def through(self, blocks: Iterable[Translated]) -> Iterator[Images]:
        """Compare inputs and outputs with the truth, and pass the outputs on."""
        for block in blocks:
            self._add(block)
            yield block.outputs

    def _add(self, block: Translated) -> None:
        before, truths, hidden = block.before(), block.truths, block.hidden
        if before is None or truths is None:
            return
        pair = before, block.outputs
        self._means[PSNR].add(*(quality.psnr(x, truths) for x in pair))
        self._means[L1].add(*(_l1(x, truths) for x in pair))
        if hidden is not None:
            self._means[INSIDE].add(*(quality.psnr_inside(x, truths, hidden) for x in pair))
        if min(truths.shape[1:3]) >= quality.SSIM_WINDOW:
            self._means[SSIM].add(*(quality.ssim(x, truths) for x in pair))

    def metrics(self) -> list[Metric]:
        """What was measured, with the input as the baseline."""
        return [
            Metric(name, mean.after, mean.before, best=_BEST[name], pixel=True)
            for name, mean in self._means.items()
            if mean.count
        ]


_BEST = {PSNR: "most", INSIDE: "most", SSIM: "most", L1: "least"}


def _l1(images: Images, truth: Images) -> NDArray[np.float64]:
    """Mean absolute difference of each image in levels of 255, [n]."""
    difference = np.abs(images.astype(np.int16) - truth)
    means: NDArray[np.float64] = difference.reshape(len(images), -1).mean(1)
    return means


__all__ = ["Pixels"]
