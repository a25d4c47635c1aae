"""Similarity of 8-bit images to the ground truth: PSNR, SSIM, and the colour difference ΔE.

All functions take two arrays uint8 [n, H, W, C] and return float64 [n]. They raise DataError for
other arrays, or different shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError, DataError
from zoo.optional import require

Images = NDArray[np.uint8]
Scores = NDArray[np.float64]

_ROWS = 256

SSIM_SIGMA = 1.5
SSIM_WINDOW = 11
"""Standard deviation and width of SSIM's window, in pixels."""


def decibels(mean_squared_error: float) -> float:
    """Return the PSNR in dB of 8-bit images, 10·log10(255² / MSE), infinite for an MSE of 0."""
    return 10 * math.log10(255**2 / mean_squared_error) if mean_squared_error else math.inf


def squared_error(images: Images, truth: Images) -> Scores:
    """Return the mean squared difference of each image, in squared levels of 255."""
    return _mean(_squared_errors, images, truth)


def absolute_error(images: Images, truth: Images) -> Scores:
    """Return the mean absolute difference of each image, in levels of 255."""
    return _mean(lambda image, true: np.abs(image.astype(np.int16) - true), images, truth)


def psnr(images: Images, truth: Images) -> Scores:
    """Return the PSNR in dB of each image, infinite for equal images."""
    return _decibels(squared_error(images, truth))


def psnr_inside(images: Images, truth: Images, hidden: NDArray[np.bool_]) -> Scores:
    """Return the PSNR in dB over the `hidden` [n, H, W] pixels of each image, NaN without any."""
    _check(images, truth)
    squared = _squared_errors(images, truth)
    if hidden.shape != images.shape[:3]:
        raise DataError(f"hidden: expected shape {images.shape[:3]}, got {hidden.shape}")
    values = hidden.sum(axis=(1, 2)) * images.shape[3]
    with np.errstate(invalid="ignore"):
        return _decibels((squared * hidden[..., None]).sum(axis=(1, 2, 3)) / values)


def ssim(images: Images, truth: Images) -> Scores:
    """Return the structural similarity of each image, at most 1, the mean over channels.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    TIP 13 (2004), eq. (13), with the 11×11 Gaussian window of section III-B. Needs scikit-image.
    Raises DataError for images smaller than the window.
    """
    similarity = require("skimage.metrics").structural_similarity
    _check(images, truth)
    if min(images.shape[1:3]) < SSIM_WINDOW:
        raise DataError(
            f"SSIM: expected images of at least {SSIM_WINDOW}×{SSIM_WINDOW} pixels, got "
            f"{images.shape[1]}×{images.shape[2]}"
        )
    return np.array(
        [
            similarity(
                image,
                true,
                data_range=255,
                channel_axis=-1,
                gaussian_weights=True,
                sigma=SSIM_SIGMA,
                use_sample_covariance=False,
            )
            for image, true in zip(images, truth, strict=True)
        ]
    )


def delta_e(images: Images, truth: Images, formula: str = "ciede2000") -> Scores:
    """Return the mean colour difference ΔE of each sRGB image, under illuminant D65.

    `formula` is "ciede2000" (Sharma et al., Color Research & Application 30, 2005) or "cie76", the
    distance in CIE L*a*b*. Needs scikit-image. Raises ConfigError for another formula.
    """
    color = require("skimage.color")
    formulas = {"ciede2000": color.deltaE_ciede2000, "cie76": color.deltaE_cie76}
    if formula not in formulas:
        raise ConfigError(f"formula: expected ciede2000 or cie76, got {formula!r}")
    _check(images, truth)
    if images.shape[3] != 3:
        raise DataError(f"ΔE: expected images of 3 channels, got {images.shape[3]}")
    differences: Scores = formulas[formula](color.rgb2lab(images), color.rgb2lab(truth))
    return differences.mean(axis=(1, 2))


def _squared_errors(images: Images, truth: Images) -> NDArray[np.int32]:
    return np.square(images.astype(np.int32) - truth)


def _mean(errors: Callable[[Images, Images], Any], images: Images, truth: Images) -> Scores:
    """Return the mean error [n] of each image, computed block by block."""
    _check(images, truth)
    means = np.empty(len(images))
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        means[rows] = errors(images[rows], truth[rows]).mean(axis=(1, 2, 3))
    return means


def _decibels(mean_squared_errors: Scores) -> Scores:
    return np.array([decibels(value) for value in mean_squared_errors.tolist()])


def _check(images: Images, truth: Images) -> None:
    if images.dtype != np.uint8 or truth.dtype != np.uint8:
        raise DataError(f"expected uint8 images, got {images.dtype} and {truth.dtype}")
    if images.ndim != 4 or images.shape != truth.shape:
        raise DataError(f"expected two arrays [n, H, W, C], got {images.shape} and {truth.shape}")
