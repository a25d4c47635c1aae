"""Detection of mode collapse: how diverse samples are, and advice if they are not.

In mode collapse the generator makes few kinds of images, which fool the discriminator (Goodfellow
2016, arXiv:1701.00160, section 5.1.1). There are three signs: samples that are closer to each other
than real images are, classes without samples, and a discriminator that is always right or always
wrong.
"""

from __future__ import annotations

import numpy as np

IMAGES = 500
"""Number of images of each kind that are compared with each other."""

SIDE = 16
"""Approximate side to which images are reduced first, so that pixel noise does not count."""

CLOSE = 0.7
"""Least mean distance between two samples, relative to real images."""

TWINS = 0.4
"""Least median distance of a sample to its nearest neighbour, relative to real images."""

FEW_MODES = 0.75
"""Least share of the classes that have samples."""

BY_HEART = 0.6
"""Target of Karras et al. 2020 (arXiv:2006.06676) for the overfitting measure r_v."""

UNFAIR = 0.97
"""Accuracy above which a discriminator teaches the generator little."""


def _reduce(images: np.ndarray) -> np.ndarray:
    """Convert images uint8 [N, H, W, C] to float32 [N, F] in [0, 1], averaged over squares."""
    count, height, width, channels = images.shape
    step = max(1, height // SIDE)
    high, wide = height // step, width // step
    small = images[:, : high * step, : wide * step].astype(np.float32) / 255
    small = small.reshape(count, high, step, wide, step, channels).mean((2, 4))
    return small.reshape(count, -1)


def measure_distances(images: np.ndarray) -> tuple[float, float]:
    """Return the mean distance between images, and the median distance to the nearest other one.

    `images` are uint8 [N, H, W, C] with N of at least 2; distances are Euclidean, on reduced
    images.
    """
    points = _reduce(images[:IMAGES]).astype(np.float64)
    squares = (points**2).sum(1)
    square = squares[:, None] + squares[None] - 2 * points @ points.T
    distance = np.sqrt(np.maximum(square, 0))
    others = ~np.eye(len(points), dtype=bool)
    mean = distance[others].mean()
    nearest = np.where(others, distance, np.inf).min(1)
    return float(mean), float(np.median(nearest))


def measure_diversity(samples: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """Return `pair_distance` and `nearest_distance` of samples, relative to real images.

    Both are uint8 [N, H, W, C]. At 1 samples are as diverse as real images, at 0 identical. Empty
    for fewer than two images.
    """
    count = min(len(samples), len(real), IMAGES)
    if count < 2:
        return {}
    mean, nearest = measure_distances(samples[:count])
    real_mean, real_nearest = measure_distances(real[:count])
    return {
        "pair_distance": mean / max(real_mean, 1e-12),
        "nearest_distance": nearest / max(real_nearest, 1e-12),
    }


def find_problems(values: dict[str, float]) -> list[str]:
    """Return sentences on an epoch's problems, with advice; none if all is well.

    Uses `pair_distance`, `nearest_distance`, `modes` (share of the classes with samples),
    `train_discriminator_accuracy` and `overfitting`, if present.
    """
    problems = []
    signs = (
        ("pair_distance", CLOSE, "samples are {:.2f} times as far apart as real images"),
        (
            "nearest_distance",
            TWINS,
            "samples have near-copies, at {:.2f} times the distance of real ones",
        ),
        ("modes", FEW_MODES, "samples cover {:.0%} of the classes"),
    )
    seen = [text.format(values[n]) for n, least, text in signs if values.get(n, least) < least]
    if seen:
        problems.append(
            f"mode collapse: {'; '.join(seen)}. Try a gradient penalty (adversarial.r1), a lower "
            "learning rate, more discriminator steps, or larger batches"
        )
    accuracy = values.get("train_discriminator_accuracy", 0.5)
    if accuracy > UNFAIR:
        problems.append(
            f"the discriminator is right {accuracy:.0%} of the time, so the generator learns "
            "little. Try a gradient penalty, a lower discriminator_rate, or the loss nonsaturating"
        )
    overfitting = values.get("overfitting", 0.0)
    if overfitting > BY_HEART:
        problems.append(
            f"the discriminator has memorised the training images (overfitting {overfitting:.2f}). "
            "Try more data, an earlier checkpoint, or a stronger penalty"
        )
    return problems
