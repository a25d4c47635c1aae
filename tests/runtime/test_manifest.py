"""Manifests of every role: each bad field is refused by name."""

from typing import Any

import pytest

import small_engines
from export.manifest import NOISE
from runtime import manifest
from runtime.errors import ManifestError

TAKEN = {"height": 4, "width": 4, "channels": 2, "dtype": "uint8", "layout": "NHWC", "alpha": True}
GOOD = {
    "encoder": {
        "latent": {"width": 2, "prior": "normal", "posterior": "gaussian"}
        | {"mean": [0, -1.5], "std": [1, 0.0]},
        "attributes": ["smiling"],
        "directions": {"smiling": [0.5, -2]},
        "classes": [],
    },
    "translator": {"input": TAKEN, "task": "denoising", "corruption": ["gaussian:0.1-0.4"]},
    "classifier": {"scores": {"names": ["a", "b"], "kind": "multilabel"}},
    "mapping": {
        "schema": 2,
        "latent": {"width": 3, "prior": "normal"},
        "truncation": {"mean": [0.5, 0], "layers": 2, "width": 2},
    },
    "generator": {
        "schema": 2,
        "latent": {"width": 3, "prior": "normal"},
        "noise": NOISE | {"streams": {"latent": 0, "layers": [{"stream": 1, "width": 4}]}},
        "truncation": {"mean": [0.5, 0], "layers": 2, "width": 2},
    },
    "conditional translator": {
        "schema": 2,
        "input": TAKEN,
        "condition": {"kind": "attributes", "names": ["old", "happy"]},
    },
    "conditional generator": {
        "schema": 2,
        "latent": {"width": 3, "prior": "normal"},
        "noise": NOISE | {"streams": {"latent": 0}},
        "condition": {"kind": "classes", "count": 3},
        "classes": ["hat", "coat", "scarf"],
    },
}
LAYERS = "noise.streams.layers"
BAD: list[tuple[str, str, Any, str]] = [
    ("encoder", "latent.posterior", "sharp", "one of deterministic, gaussian"),
    ("encoder", "latent.posterior", 3, "a non-empty string, got 3"),
    ("encoder", "latent.prior", "flat", "one of none, normal"),
    ("encoder", "latent.mean", [0.5], r"2 finite numbers, got \[0.5\]"),
    ("encoder", "latent.mean", "zero", "2 finite numbers"),
    ("encoder", "latent.mean", [0, "1"], "2 finite numbers"),
    ("encoder", "latent.mean", [0, 1e300], "2 finite numbers"),
    ("encoder", "latent.mean", [0, None], "2 finite numbers"),
    ("encoder", "latent.std", [1, -1], "2 finite numbers from 0"),
    ("encoder", "latent.std", [1, 1, 1], "2 finite numbers from 0"),
    ("encoder", "attributes", "smiling", "an array of strings"),
    ("encoder", "attributes", [1], "an array of strings"),
    ("encoder", "classes", {"a": 1}, "an array of strings"),
    ("encoder", "directions", [], "an object"),
    ("encoder", "directions.smiling", [1], "2 finite numbers"),
    ("encoder", "directions.smiling", ["é" * 200, 1], "2 finite numbers"),
    ("translator", "input", None, "an object"),
    ("translator", "input.height", 0, "an integer from 1"),
    ("translator", "input.width", 2.5, "an integer from 1"),
    ("translator", "input.channels", 65, "an integer from 1 to 64"),
    ("translator", "input.channels", 1, "at least 2, including the mask"),
    ("translator", "input.dtype", "float32", "one of uint8"),
    ("translator", "input.layout", "NCHW", "one of NHWC"),
    ("translator", "input.alpha", 1, "true or false"),
    ("translator", "task", "", "a non-empty string"),
    ("translator", "corruption", "gaussian", "an array of strings"),
    ("classifier", "scores", [], "an object"),
    ("classifier", "scores.names", [], "one or more distinct names"),
    ("classifier", "scores.names", ["a", "a"], "one or more distinct names"),
    ("classifier", "scores.names", ["a", ""], "one or more distinct names"),
    ("classifier", "scores.names", ["a", 2], "an array of strings"),
    ("classifier", "scores.kind", "ranking", "one of classes, multilabel"),
    ("generator", LAYERS, {}, "an array"),
    ("generator", LAYERS, [3], "objects"),
    ("generator", "truncation", 0.5, "an object"),
    ("generator", "truncation.mean", [0, None], "2 finite numbers"),
    ("generator", "truncation.layers", 0, "an integer from 1"),
    ("generator", "schema", 1, "2 with noise.streams.layers"),
    ("conditional translator", "condition.kind", "classes", "one of attributes"),
    ("conditional translator", "condition.names", [], "one or more distinct"),
    ("conditional translator", "condition.names", ["a", "a"], "one or more distinct"),
    ("conditional translator", "condition.names", "old", "an array of strings"),
    ("conditional translator", "schema", 1, "2 with condition"),
    ("conditional generator", "condition", [], "an object"),
    ("conditional generator", "condition.kind", "colours", "one of classes"),
    ("conditional generator", "condition.count", 0, "an integer"),
    ("conditional generator", "condition.count", 4, "3, the number"),
    ("conditional generator", "schema", 1, "2 with condition"),
]


def good(role: str) -> dict[str, Any]:
    return small_engines.manifest(role.removeprefix("conditional "), (4, 4, 1), **GOOD[role])


@pytest.mark.parametrize(("role", "field", "value", "part"), BAD)
def test_bad_manifests(role: str, field: str, value: Any, part: str) -> None:
    document = good(role)
    assert manifest.validate(document) == document
    *parents, last = field.split(".")
    at = document = manifest.validate(document)  # a copy
    for parent in parents:
        at = at[parent]
    at[last] = value
    with pytest.raises(ManifestError, match=f"^manifest field '{field}': expected .*{part}"):
        manifest.validate(document)


@pytest.mark.parametrize(
    ("layers", "field", "part"),
    [
        ([{"stream": -1, "width": 4}], "stream", "an integer"),
        ([{"stream": 1}], "width", "a value"),
        ([{"stream": 1, "width": 0}], "width", "an integer from 1"),
        ([{"stream": 0, "width": 4}], "stream", "a stream that"),
        ([{"stream": 5, "width": 4}] * 2, "stream", "a stream that"),
    ],
)
def test_bad_layers_of_noise(layers: Any, field: str, part: str) -> None:
    document = manifest.validate(good("generator"))
    document["noise"]["streams"]["layers"] = layers
    with pytest.raises(ManifestError, match=f"^manifest field '{LAYERS}.{field}': expected {part}"):
        manifest.validate(document)


@pytest.mark.parametrize(
    ("role", "field"),
    [
        ("translator", "input"),
        ("translator", "input.alpha"),
        ("classifier", "scores"),
        ("classifier", "scores.kind"),
        ("classifier", "scores.names"),
        ("encoder", "latent"),
        ("mapping", "truncation"),
        ("conditional translator", "condition.names"),
        ("conditional generator", "condition.kind"),
        ("conditional generator", "condition.count"),
    ],
)
def test_manifests_that_lack_a_field(role: str, field: str) -> None:
    document = manifest.validate(good(role))
    *parents, last = field.split(".")
    at = document
    for parent in parents:
        at = at[parent]
    del at[last]
    with pytest.raises(ManifestError, match=f"^manifest field '{field}': .*got nothing"):
        manifest.validate(document)
