"""Watching for mode collapse: how different the samples are, and what to try when they are not.

In mode collapse the generator makes few kinds of images, which fool the discriminator (Goodfellow
2016, arXiv:1701.00160, section 5.1.1). Three signs are looked for: samples that are closer to each
other than real images are, classes that no sample belongs to, and a discriminator that is always
right or always wrong.
"""

from __future__ import annotations

import numpy as np

IMAGES = 500
"""How many images of each kind are compared with each other."""

SIDE = 16
"""Images are reduced to about this side first: what counts is what is seen, not noise."""

CLOSE = 0.7
"""Least mean distance between two samples, in parts of that between two real images."""

TWINS = 0.4
"""Least median distance of a sample to its nearest other one, likewise."""

FEW_MODES = 0.75
"""Least share of the classes that samples belong to."""

BY_HEART = 0.6
"""Karras et al. 2020 (arXiv:2006.06676) hold the overfitting measure r_v at this target."""

UNFAIR = 0.97
"""A discriminator that is right more often than this teaches the generator little."""


def _points(images: np.ndarray) -> np.ndarray:
    """Images uint8 [N, H, W, C] as float32 [N, F] in [0, 1], averaged over small squares."""
    count, height, width, channels = images.shape
    step = max(1, height // SIDE)
    high, wide = height // step, width // step
    small = images[:, : high * step, : wide * step].astype(np.float32) / 255
    small = small.reshape(count, high, step, wide, step, channels).mean((2, 4))
    return small.reshape(count, -1)


def distances(images: np.ndarray) -> tuple[float, float]:
    """Mean distance between two of the images, and median distance to the nearest other one.

    `images` are uint8 [N, H, W, C] with N of at least 2; Euclidean, on reduced images.
    """
    points = _points(images[:IMAGES]).astype(np.float64)
    squares = (points**2).sum(1)
    square = squares[:, None] + squares[None] - 2 * points @ points.T
    distance = np.sqrt(np.maximum(square, 0))
    others = ~np.eye(len(points), dtype=bool)
    mean = distance[others].mean()
    nearest = np.where(others, distance, np.inf).min(1)
    return float(mean), float(np.median(nearest))


def diversity(samples: np.ndarray, real: np.ndarray) -> dict[str, float]:
    """`pair_distance` and `nearest_distance` of samples, in parts of those of real images.

    Both uint8 [N, H, W, C]; 1 is as different from each other as real images are, 0 all the same.
    Of fewer than two images nothing can be said: empty.
    """
    count = min(len(samples), len(real), IMAGES)
    if count < 2:
        return {}
    mean, nearest = distances(samples[:count])
    real_mean, real_nearest = distances(real[:count])
    return {
        "pair_distance": mean / max(real_mean, 1e-12),
        "nearest_distance": nearest / max(real_nearest, 1e-12),
    }


def notes(values: dict[str, float]) -> list[str]:
    """Sentences on an epoch's numbers: what is wrong, and what to try; none when all is well.

    Looks at `pair_distance`, `nearest_distance`, `modes` (share of the classes that samples belong
    to), `train_discriminator_accuracy` and `overfitting`, those that are there.
    """
    found = []
    signs = (
        ("pair_distance", CLOSE, "samples are {:.2f} times as far apart as real images"),
        ("nearest_distance", TWINS, "samples have twins, {:.2f} times as far as real images have"),
        ("modes", FEW_MODES, "samples cover {:.0%} of the classes"),
    )
    seen = [text.format(values[n]) for n, least, text in signs if values.get(n, least) < least]
    if seen:
        found.append(
            f"mode collapse: {'; '.join(seen)}. Try a gradient penalty (adversarial.r1), a lower "
            "learning rate, more discriminator steps, or larger batches"
        )
    accuracy = values.get("train_discriminator_accuracy", 0.5)
    if accuracy > UNFAIR:
        found.append(
            f"the discriminator is right {accuracy:.0%} of the time, so the generator learns "
            "little. Try a gradient penalty, a lower discriminator_rate, or the loss nonsaturating"
        )
    learned = values.get("overfitting", 0.0)
    if learned > BY_HEART:
        found.append(
            f"the discriminator knows the training images by heart (overfitting {learned:.2f}). "
            "Try more data, an earlier checkpoint, or a stronger penalty"
        )
    return found
