"""Attribute directions of a generator without an encoder, from its classified samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export import reference
from export.checkpoint import LatentCheckpoint
from export.inputs import Inputs, mean_images
from export.statistics import LatentStatistics, round_digits
from zoo.applications.editing import direction
from zoo.evaluation.attributes import FACES
from zoo.evaluation.features import file_identity
from zoo.models.generators import to_uint8

SAMPLES = 10_000
"""Number of images of seed `SEED` to classify."""

SEED = 2**64 - 1
"""A seed that users rarely choose, so that measurements on their samples use other images."""

FEWEST = 200
"""Least number of samples with and without an attribute: means over fewer are mostly noise."""

_ROWS = 200


def measure(
    checkpoint: LatentCheckpoint, runtime: Any, progress: Callable[[str], None]
) -> LatentStatistics | None:
    """Measure a direction for each attribute of the training data.

    A direction is the mean latent of the samples with the attribute, according to the shipped
    classifier, minus the mean of those without it (Larsen et al. 2016, section 4.2, do so with
    encoded images). Style-based generators also get directions in w, in which attributes are less
    entangled (Karras et al. 2019, section 4).

    Returns:
        The directions; None if the data has no attributes, or other ones than the classifier.
    """
    names = list(checkpoint.config.get("attributes") or [])
    if not names:
        return None
    from zoo.engines import resolve

    judge = resolve(FACES)
    with runtime.Classifier(judge) as classifier:
        if classifier.names != names or classifier.image_shape != checkpoint.shape:
            return None
        progress(f"judging {SAMPLES:,} samples by {judge.name}")
        latents, has = _classify_samples(checkpoint, classifier)
    description = f"{judge.stem} {file_identity(judge)}, {SAMPLES} samples"
    of_styles = {}
    if checkpoint.style_based:
        decoder: Any = checkpoint.decoder
        with torch.no_grad():
            styles = decoder.mapping(torch.from_numpy(latents)).numpy()
        of_styles = {
            name: values * decoder.layers
            for name, values in _measure_directions(styles, has, names)
        }
    return LatentStatistics(
        directions=dict(_measure_directions(latents, has, names)),
        of_styles=of_styles,
        judge=description,
    )


def _classify_samples(
    checkpoint: LatentCheckpoint, classifier: Any
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the latents [n, D] of samples, and the attributes of their images, bool [n, K]."""
    latents = reference.normals(SEED, 0, SAMPLES, checkpoint.latent).astype(np.float32)
    has = []
    for first in range(0, SAMPLES, _ROWS):
        rows = latents[first : first + _ROWS]
        inputs = Inputs.of(checkpoint, SEED, first, len(rows))
        images = torch.from_numpy(mean_images(checkpoint.decoder, rows, inputs))
        has.append(classifier.classify(to_uint8(images)) > 0.5)
    return latents, np.concatenate(has)


def _measure_directions(
    latents: NDArray[np.float32], has: NDArray[np.bool_], names: list[str]
) -> list[tuple[str, list[float]]]:
    return [
        (name, round_digits(direction(latents, column)))
        for name, column in zip(names, has.T, strict=True)
        if FEWEST <= column.sum() <= len(column) - FEWEST
    ]
