"""Whether images are the right ones: before anything is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.throughput import psnr

CHECKED = 64
"""Images that are compared at least; a whole batch where that is more."""

FURTHEST = {"fp32": 2}
"""Levels that a pixel may be off; in the other precisions the PSNR decides."""
PSNR = {"fp32": 50.0, "tf32": 40.0, "fp16": 40.0, "bf16": 30.0, "int8": 30.0, "fp8": 30.0}
"""Decibels that all images together must have at least, against fp32 on the CPU."""

SIGMAS = 6.0
"""Standard errors that the mean of images of other noise may be off."""
SPREAD = (0.7, 1.4)
"""Limits of the ratio of deviations between images."""


class Refused(RuntimeError):
    """The images are not those that they should be."""


def checked(batch: int) -> int:
    """How many images are compared: whole batches."""
    return -(-max(CHECKED, batch) // batch) * batch


def _shape(images: NDArray[Any], shape: tuple[int, ...]) -> None:
    if images.shape != shape or images.dtype != np.uint8:
        raise Refused(f"made {images.dtype}{list(images.shape)}, expected uint8{list(shape)}")


def same(images: NDArray[Any], reference: NDArray[np.uint8], precision: str) -> dict[str, float]:
    """How near images of the same noise are to the reference, both uint8 [N, H, W, C].

    Raises Refused for another shape or type, or images too far off for the precision.
    """
    _shape(images, reference.shape)
    difference = np.abs(images.astype(np.int16) - reference)
    found = {
        "psnr_db": float(psnr(images, reference)),
        "furthest": int(difference.max()),
        "mean_difference": float(difference.mean()),
    }
    least, most = PSNR[precision], FURTHEST.get(precision, 255)
    if found["psnr_db"] < least or found["furthest"] > most:
        raise Refused(
            f"images differ by up to {found['furthest']} levels, PSNR {found['psnr_db']:.1f} dB; "
            f"{precision} is to have {least:g} dB and at most {most}"
        )
    return found


def alike(
    batches: list[NDArray[Any]], batch: int, reference: NDArray[np.uint8]
) -> dict[str, float]:
    """How alike images of other noise are to the reference, uint8 [M, H, W, C], in statistics.

    batches: made one after another, [batch, H, W, C] each. Raises Refused for another shape or
    type, for two batches that are the same (noise that was not drawn again), and for a mean or a
    spread between images that chance does not explain.
    """
    for images in batches:
        _shape(images, (batch, *reference.shape[1:]))
    for before, after in zip(batches, batches[1:], strict=False):
        if np.array_equal(before, after):
            raise Refused("two batches are the same: the noise is not drawn again")
    images = np.concatenate(batches).astype(np.float64)
    theirs = reference.astype(np.float64)
    means, wanted = (values.mean(axis=(1, 2, 3)) for values in (images, theirs))
    error = np.sqrt(means.var() / len(means) + wanted.var() / len(wanted))
    off = float(means.mean() - wanted.mean())
    spread = float(images.std(axis=0).mean() / max(1e-9, theirs.std(axis=0).mean()))
    if abs(off) > SIGMAS * error + 1:
        raise Refused(
            f"the mean is off by {off:.1f} levels, {abs(off) / error:.0f} standard errors"
        )
    if not SPREAD[0] <= spread <= SPREAD[1]:
        raise Refused(f"images differ among themselves {spread:.2f} times as much as they should")
    return {"mean_off": off, "spread": spread}
