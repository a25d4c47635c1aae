"""Classifiers: images in, scores out, and maybe the features that they are computed from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from export.checkpoint import Checkpoint
from export.checks import Check
from export.modules import Graph, ImageGraph, unit
from export.options import Options
from export.parity import (
    CheckedFile,
    ImageCheck,
    check_image_graph,
    float_check,
    mixed_images,
    unit_images,
)
from export.plan import probes
from export.plan.calibration_set import images
from export.plan.probes import Probe
from export.roles.role import Role, Runner, feed
from export.statistics import LatentStatistics
from zoo.data import DataSet

NAME = "classifier"


class ClassifierGraph(ImageGraph):
    """image uint8 [N,H,W,C] -> scores float32 [N,K], probabilities, and maybe features [N,F]."""

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.model = model
        self.exposes_features = bool(getattr(model, "exposes_features", False))
        self.outputs = ("scores", "features") if self.exposes_features else ("scores",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The probability of each name; with them what they are computed from, if it is exposed."""
        if not self.exposes_features:
            return (self.model.scores(unit(image)),)
        features = self.model.features(unit(image))
        return self.model.from_features(features), features


def part_of(checkpoint: Checkpoint) -> Any:
    """What classifies: the model, or its module of that name."""
    model: Any = checkpoint.model
    return model if checkpoint.entry.roles[0] == NAME else model.classifier


def graph(checkpoint: Checkpoint, options: Options) -> Graph:
    """The classifier of a checkpoint."""
    return ClassifierGraph(part_of(checkpoint), checkpoint.shape)


def fields(checkpoint: Checkpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """The names of the scores: the model's own, else the classes of the data."""
    classifier = part_of(checkpoint)
    names = list(classifier.names) or list(checkpoint.config.get("classes") or [])
    return {"scores": {"names": names, "kind": classifier.kind}}


def check(file: CheckedFile) -> list[Check]:
    """All checks."""
    model = part_of(file.checkpoint)
    inputs = mixed_images(file.checkpoint.shape)
    with torch.no_grad():
        expected = model.scores(unit_images(inputs)).numpy()
    scores = ImageCheck("image", "scores", float_check, RUNNER.engine_class, "classify")
    results = check_image_graph(file, scores, inputs, expected)
    if getattr(model, "exposes_features", False):
        with torch.no_grad():
            features = model.features(unit_images(inputs)).numpy()
        # The runtime leaves them alone.
        kind = ImageCheck("image", "features", float_check, RUNNER.engine_class, "classify")
        results += check_image_graph(replace(file, runtime=None), kind, inputs, features)
    return results


def run(classifier: Any, n: int, batch: int) -> None:
    """Classify n images."""
    feed(classifier.classify, classifier.image_shape, n, batch)


def probe(classifier: Any, data: DataSet | None) -> list[Probe]:
    """The scores of images."""
    pool = probes.held_out(classifier.image_shape, data)
    return [probes.images("scores", _classify, pool)]


def _classify(classifier: Any, images: NDArray[Any]) -> NDArray[Any]:
    scores: NDArray[Any] = classifier.classify(images)
    return scores


RUNNER = Runner("Classifier", run, probe, images, takes_images=True)
ROLE = Role(graph, fields, check, RUNNER)
