"""Checks of the contenders' images, made before anything is timed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cpu_cases import psnr

CHECKED = 64
"""Minimum number of compared images; at least a whole batch."""

FURTHEST = {"fp32": 2}
"""Largest difference of a pixel, in levels; in the other precisions the PSNR decides."""
PSNR = {"fp32": 50.0, "tf32": 40.0, "fp16": 40.0, "bf16": 30.0, "int8": 30.0, "fp8": 30.0}
"""Minimum PSNR of all images together against fp32 on the CPU, in dB."""

SIGMAS = 6.0
"""Largest deviation of the mean of images from other noise, in standard errors."""
SPREAD = (0.7, 1.4)
"""Limits of the ratio of the standard deviations between images."""


class Refused(RuntimeError):
    """A contender's images are wrong."""


def count_checked(batch: int) -> int:
    """Return the number of images to compare: a multiple of the batch size."""
    return -(-max(CHECKED, batch) // batch) * batch


def _shape(images: NDArray[Any], shape: tuple[int, ...]) -> None:
    if images.shape != shape or images.dtype != np.uint8:
        raise Refused(f"expected uint8{list(shape)}, got {images.dtype}{list(images.shape)}")


def compare_images(
    images: NDArray[Any], reference: NDArray[np.uint8], precision: str
) -> dict[str, float]:
    """Compare images with the reference from the same noise, both uint8 [N, H, W, C].

    Returns PSNR and differences. Raises Refused for another shape or type, and for images too far
    off for the precision.
    """
    _shape(images, reference.shape)
    difference = np.abs(images.astype(np.int16) - reference)
    result = {
        "psnr_db": float(psnr(images, reference)),
        "furthest": int(difference.max()),
        "mean_difference": float(difference.mean()),
    }
    least, most = PSNR[precision], FURTHEST.get(precision, 255)
    if result["psnr_db"] < least or result["furthest"] > most:
        raise Refused(
            f"images differ by up to {result['furthest']} levels, PSNR {result['psnr_db']:.1f} dB; "
            f"expected at most {most} levels and at least {least:g} dB in {precision}"
        )
    return result


def compare_statistics(
    batches: list[NDArray[Any]], batch: int, reference: NDArray[np.uint8]
) -> dict[str, float]:
    """Compare the mean and spread of images from other noise with the reference's.

    batches: consecutive batches, [batch, H, W, C] each; reference: uint8 [M, H, W, C]. Raises
    Refused for another shape or type, for two equal batches (the noise was not drawn again), and
    for a mean or a spread that chance does not explain.
    """
    for images in batches:
        _shape(images, (batch, *reference.shape[1:]))
    for before, after in zip(batches, batches[1:], strict=False):
        if np.array_equal(before, after):
            raise Refused("two batches are equal: the noise is not drawn again")
    images = np.concatenate(batches).astype(np.float64)
    theirs = reference.astype(np.float64)
    means, expected = (values.mean(axis=(1, 2, 3)) for values in (images, theirs))
    error = np.sqrt(means.var() / len(means) + expected.var() / len(expected))
    off = float(means.mean() - expected.mean())
    spread = float(images.std(axis=0).mean() / max(1e-9, theirs.std(axis=0).mean()))
    if abs(off) > SIGMAS * error + 1:
        raise Refused(
            f"the mean is off by {off:.1f} levels, {abs(off) / error:.0f} standard errors"
        )
    if not SPREAD[0] <= spread <= SPREAD[1]:
        raise Refused(f"the spread between images is {spread:.2f} times the reference's")
    return {"mean_off": off, "spread": spread}
