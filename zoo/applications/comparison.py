"""Translated images beside their inputs and what they should be, in numbers and in a grid."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from zoo.applications import quality
from zoo.applications.optional import require
from zoo.applications.points import short
from zoo.applications.translation import Translated, enlarged

Images = NDArray[np.uint8]
Scores = NDArray[np.float64]

SHOWN = 64
COLUMNS = 16


class Mean:
    """Means over images of a score of the input and of the same score of the output.

    Only images for which both are finite count; `left_out` is how many do not.
    Where none counts, the mean of inputs or outputs is that of their own finite scores.
    """

    def __init__(self) -> None:
        self.count = self.left_out = 0
        self._sums = np.zeros(2)
        self._own_sums, self._own_counts = np.zeros(2), np.zeros(2)

    def add(self, before: Scores, after: Scores) -> None:
        """The scores of some more images, [k] each."""
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
        """Mean of the inputs; infinite if there is none that is finite."""
        return self._mean(0)

    @property
    def after(self) -> float:
        """Mean of the outputs; infinite if there is none that is finite."""
        return self._mean(1)

    def _mean(self, side: int) -> float:
        if self.count:
            return float(self._sums[side] / self.count)
        own = self._own_counts[side]
        return float(self._own_sums[side] / own) if own else math.inf


class Quality:
    """Means over all images of how close inputs and outputs are to the truth.

    `psnr` and `psnr_inside` (of the hidden pixels) in dB, `ssim`, and with `colour`
    `delta_e` (CIEDE2000). Raises ConfigError where scikit-image is missing.
    """

    def __init__(self, colour: bool = False) -> None:
        require("skimage.metrics")
        self.psnr, self.psnr_inside, self.ssim, self.delta_e = (Mean() for _ in range(4))
        self._colour = colour

    def add(self, block: Translated) -> None:
        """Measure these images, if the truth is known and the input can be compared with it."""
        before, truths, hidden = block.before(), block.truths, block.hidden
        if before is None or truths is None:
            return
        pair = (before, block.outputs)
        self.psnr.add(*(quality.psnr(images, truths) for images in pair))
        if hidden is not None:
            inside = (quality.psnr_inside(images, truths, hidden) for images in pair)
            self.psnr_inside.add(*inside)
        if min(truths.shape[1:3]) >= quality.SSIM_WINDOW:
            self.ssim.add(*(quality.ssim(images, truths) for images in pair))
        if self._colour and truths.shape[3] == 3:
            self.delta_e.add(*(quality.delta_e(images, truths) for images in pair))

    def lines(self) -> list[str]:
        """What was measured, a line each."""
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
    # A PSNR is not finite where input or output equals the truth, or where nothing is hidden.
    rest = f"; {mean.left_out:,} without errors left out" if mean.count and mean.left_out else ""
    return (
        f"{name:16}input {mean.before:{form}}{unit}, output {mean.after:{form}}{unit}{change}{rest}"
    )


class Tiles:
    """The first images of a run, for a grid: inputs above outputs above the truth, if known."""

    def __init__(self) -> None:
        self._rows: list[list[tuple[Images, str]]] = []

    def add(self, block: Translated) -> None:
        """Take images until there are SHOWN."""
        wanted = SHOWN - len(self._rows)
        if wanted <= 0:
            return
        inputs = displayed(block)
        for index, name in enumerate(block.names[:wanted]):
            output, truth = block.outputs[index], None
            said = "output"
            if block.truths is not None:
                truth = block.truths[index]
                said = f"{quality.psnr(output[None], truth[None])[0]:.1f} dB"
            tiles = [(inputs[index].copy(), short(name)), (output.copy(), said)]
            if truth is not None:
                tiles.append((truth.copy(), "truth"))
            self._rows.append(tiles)

    def arranged(self) -> tuple[list[Images], list[str], int]:
        """Tiles [H, W, C] and labels in the order of a grid, and its number of columns."""
        columns = min(COLUMNS, len(self._rows))
        blank = (np.full_like(self._rows[0][0][0], 255), "")
        found: list[tuple[Images, str]] = []
        for start in range(0, len(self._rows), columns):
            part = self._rows[start : start + columns]
            for row in range(len(part[0])):
                found += [tiles[row] for tiles in part] + [blank] * (columns - len(part))
        return [tile for tile, _ in found], [label for _, label in found], columns

    def __len__(self) -> int:
        return len(self._rows)


def displayed(block: Translated) -> Images:
    """The inputs as images like the outputs, for people: a chequered pattern where hidden."""
    before = block.before()
    if before is None:
        return np.full_like(block.outputs, 255)
    if block.hidden is None:
        return before
    _, height, width, _ = before.shape
    squares = np.indices((height, width)) // (2 * max(1, min(height, width) // 28))
    pattern = np.where(squares.sum(axis=0) % 2, np.uint8(104), np.uint8(152))[..., None]
    hidden = enlarged(block.hidden[..., None].astype(np.uint8), height, width)
    return np.where(hidden, pattern, before)


__all__ = ["SHOWN", "Mean", "Quality", "Tiles", "displayed"]
