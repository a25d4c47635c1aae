"""Classifiers: images to scores, and optionally the features before them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from export.checkpoint import Checkpoint
from export.checks import Check
from export.modules import Graph, ImageGraph, to_unit_range
from export.options import Options
from export.parity import (
    CheckedFile,
    GraphCheck,
    check_graph,
    compare_floats,
    mixed_images,
)
from export.plan import probes
from export.plan.calibration_set import load_images
from export.plan.probes import Probe
from export.roles.role import Role, Runner, run_images
from export.statistics import LatentStatistics
from zoo.data import DataSet

NAME = "classifier"


class ClassifierGraph(ImageGraph):
    """image uint8 [N,H,W,C] -> scores (probabilities) float32 [N,K], optionally features [N,F]."""

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.model = model
        self.exposes_features = bool(getattr(model, "exposes_features", False))
        self.outputs = ("scores", "features") if self.exposes_features else ("scores",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if not self.exposes_features:
            return (self.model.scores(to_unit_range(image)),)
        features = self.model.features(to_unit_range(image))
        return self.model.from_features(features), features


def find_classifier(checkpoint: Checkpoint) -> Any:
    """Return the model, or its module `classifier`."""
    model: Any = checkpoint.model
    return model if checkpoint.entry.roles[0] == NAME else model.classifier


def build_graph(checkpoint: Checkpoint, options: Options) -> Graph:
    return ClassifierGraph(find_classifier(checkpoint), checkpoint.shape)


def manifest_fields(checkpoint: Checkpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """Return the names of the scores: those of the model, or the classes of the data."""
    classifier = find_classifier(checkpoint)
    names = list(classifier.names) or list(checkpoint.config.get("classes") or [])
    return {"scores": {"names": names, "kind": classifier.kind}}


def check(file: CheckedFile) -> list[Check]:
    model = find_classifier(file.checkpoint)
    inputs = mixed_images(file.checkpoint.shape)
    images = to_unit_range(torch.from_numpy(inputs))
    with torch.no_grad():
        expected = model.scores(images).numpy()
    scores = GraphCheck("image", "scores", compare_floats, RUNNER.engine_class, "classify")
    results = check_graph(file, scores, inputs, expected)
    if getattr(model, "exposes_features", False):
        with torch.no_grad():
            expected = model.features(images).numpy()
        # The runtime does not return them.
        features = replace(scores, output="features")
        results += check_graph(replace(file, runtime=None), features, inputs, expected)
    return results


def run(classifier: Any, n: int, batch: int) -> None:
    run_images(classifier.classify, classifier.image_shape, n, batch)


def list_probes(classifier: Any, data: DataSet | None) -> list[Probe]:
    pool = probes.held_out_images(classifier.image_shape, data)
    return [probes.image_probe("scores", lambda engine, images: engine.classify(images), pool)]


RUNNER = Runner("Classifier", run, list_probes, load_images, takes_images=True)
ROLE = Role(build_graph, manifest_fields, check, RUNNER)
