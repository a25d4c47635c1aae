"""Attribute directions of a generator that has no encoder, by a classifier of its samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export import reference
from export.checkpoint import LatentCheckpoint
from export.inputs import Inputs, mean_images
from export.statistics import LatentStatistics, short
from zoo.applications.editing import direction
from zoo.evaluation.attributes import FACES
from zoo.evaluation.features import file_identity
from zoo.models.generators import to_uint8

SAMPLES = 10_000
"""Images that are judged, of the run of `SEED`."""

SEED = 2**64 - 1
"""None that a user begins with: what is measured on their samples is not measured on these."""

FEWEST = 200
"""Samples with an attribute, or without it, that a direction needs: the mean of few is noise."""

_ROWS = 200


def measure(
    checkpoint: LatentCheckpoint, runtime: Any, progress: Callable[[str], None]
) -> LatentStatistics | None:
    """Directions of the attributes of the training data; None where nobody here knows them.

    A direction is the mean latent of the samples that have the attribute, as the shipped classifier
    sees them, minus the mean of those that have not (as Larsen et al. 2016, section 4.2, have it
    for encoded images). Of a style-based generator there are those of w, too, in which attributes
    are less entangled (Karras et al. 2019, section 4).
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
        latents, has = _judged(checkpoint, classifier)
    told = f"{judge.stem} {file_identity(judge)}, {SAMPLES} samples"
    of_styles = {}
    if checkpoint.style_based:
        decoder: Any = checkpoint.decoder
        with torch.no_grad():
            styles = decoder.mapping(torch.from_numpy(latents)).numpy()
        of_styles = {
            name: values * decoder.layers for name, values in _directions(styles, has, names)
        }
    return LatentStatistics(
        directions=dict(_directions(latents, has, names)), of_styles=of_styles, judge=told
    )


def _judged(
    checkpoint: LatentCheckpoint, classifier: Any
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Latents [n, D] of samples, and what attributes their images have, bool [n, K]."""
    latents = reference.normals(SEED, 0, SAMPLES, checkpoint.latent).astype(np.float32)
    has = []
    for first in range(0, SAMPLES, _ROWS):
        rows = latents[first : first + _ROWS]
        inputs = Inputs.of(checkpoint, SEED, first, len(rows))
        images = torch.from_numpy(mean_images(checkpoint.decoder, rows, inputs))
        has.append(classifier.classify(to_uint8(images)) > 0.5)
    return latents, np.concatenate(has)


def _directions(
    latents: NDArray[np.float32], has: NDArray[np.bool_], names: list[str]
) -> list[tuple[str, list[float]]]:
    enough = [FEWEST <= column.sum() <= len(column) - FEWEST for column in has.T]
    return [
        (name, short(direction(latents, column)))
        for name, column, known in zip(names, has.T, enough, strict=True)
        if known
    ]
