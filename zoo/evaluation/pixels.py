"""Mean pixel quality of translated images and of their inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation import quality
from zoo.evaluation.features import Images
from zoo.evaluation.report import Metric
from zoo.inference.translation import TranslatedBlock
from zoo.optional import require

Scores = NDArray[np.float64]


class Mean:
    """Means over images of a score of inputs and outputs.

    Only images with two finite scores count; `left_out` is the number of others. If there are none,
    inputs and outputs each use their own finite scores.
    """

    def __init__(self) -> None:
        self.count = self.left_out = 0
        self._sums = np.zeros(2)
        self._own_sums, self._own_counts = np.zeros(2), np.zeros(2)

    def add(self, before: Scores, after: Scores) -> None:
        """Add scores [k] of inputs and outputs."""
        scores = np.stack([before, after])
        finite = np.isfinite(scores)
        both = finite.all(axis=0)
        self.count += int(both.sum())
        self.left_out += int((~both).sum())
        self._sums += scores[:, both].sum(axis=1)
        self._own_sums += np.where(finite, scores, 0).sum(axis=1)
        self._own_counts += finite.sum(axis=1)

    @property
    def before(self) -> float:
        """Mean of the inputs, infinite without finite scores."""
        return self._mean(0)

    @property
    def after(self) -> float:
        """Mean of the outputs, infinite without finite scores."""
        return self._mean(1)

    def _mean(self, side: int) -> float:
        if self.count:
            return float(self._sums[side] / self.count)
        own = self._own_counts[side]
        return float(self._own_sums[side] / own) if own else math.inf


class Quality:
    """Mean quality of inputs and outputs compared with the ground truth.

    `psnr` and `psnr_inside` (of the hidden pixels) are in dB, `l1` in levels of 255; `delta_e`
    (CIEDE2000) is measured with `colour`. Raises ConfigError if scikit-image is missing.
    """

    def __init__(self, colour: bool = False) -> None:
        require("skimage.metrics")
        self.psnr, self.psnr_inside, self.ssim, self.l1, self.delta_e = (Mean() for _ in range(5))
        self._colour = colour

    def add(self, block: TranslatedBlock) -> None:
        """Add images, if the truth is known and the input can be compared with it."""
        before, truths, hidden = block.before(), block.truths, block.hidden
        if before is None or truths is None:
            return
        pair = (before, block.outputs)
        self.psnr.add(*(quality.psnr(images, truths) for images in pair))
        self.l1.add(*(quality.absolute_error(images, truths) for images in pair))
        if hidden is not None:
            inside = (quality.psnr_inside(images, truths, hidden) for images in pair)
            self.psnr_inside.add(*inside)
        if min(truths.shape[1:3]) >= quality.SSIM_WINDOW:
            self.ssim.add(*(quality.ssim(images, truths) for images in pair))
        if self._colour and truths.shape[3] == 3:
            self.delta_e.add(*(quality.delta_e(images, truths) for images in pair))

    def measure(self, blocks: Iterable[TranslatedBlock]) -> Iterator[Images]:
        """Add all blocks, and yield their outputs."""
        for block in blocks:
            self.add(block)
            yield block.outputs

    def metrics(self) -> list[Metric]:
        """Return the metrics, with the input as the baseline."""
        rows = (
            ("PSNR [dB]", self.psnr, "most"),
            ("PSNR in holes [dB]", self.psnr_inside, "most"),
            ("SSIM", self.ssim, "most"),
            ("L1 [levels]", self.l1, "least"),
        )
        return [
            Metric(name, mean.after, mean.before, best=best, pixel=True)
            for name, mean, best in rows
            if mean.count
        ]

    def lines(self) -> list[str]:
        """Format the metrics as lines of text."""
        rows = (
            ("PSNR", self.psnr, ".2f", " dB"),
            ("PSNR in holes", self.psnr_inside, ".2f", " dB"),
            ("SSIM", self.ssim, ".4f", ""),
            ("ΔE (CIEDE2000)", self.delta_e, ".2f", ""),
        )
        return [_line(*row) for row in rows if row[1].count or row[1].left_out]


def _line(name: str, mean: Mean, form: str, unit: str) -> str:
    gain = mean.after - mean.before
    change = f" ({gain:+{form}})" if math.isfinite(gain) else ""
    # A PSNR is not finite if input or output equals the truth, or nothing is hidden.
    rest = f"; {mean.left_out:,} without errors left out" if mean.count and mean.left_out else ""
    return (
        f"{name:16}input {mean.before:{form}}{unit}, output {mean.after:{form}}{unit}{change}{rest}"
    )
