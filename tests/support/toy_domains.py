"""A translator between domains and its classifier, made by hand: images whose pixels say what they
have, so that NumPy can tell what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from small_engines import Graph, manifest, node, taken
from toy_translators import ROUND
from zoo.data.domains import Domains, Table

HAIR = ("Black_Hair", "Blond_Hair", "Gray_Hair")
DOMAINS = Domains((*HAIR, "Smiling", "Eyeglasses"), (HAIR,), {"Eyeglasses": ("Sunglasses",)})
SIZE = 12
"""Side of the images; the attributes are the first pixels of the first row."""


def images_of(own: Table, seed: int = 0) -> np.ndarray:
    """Images [n, 12, 12, 3] of noise that have these attributes, bool [n, 6]."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (len(own), SIZE, SIZE, 3)).astype(np.uint8)
    images[:, 0, : own.shape[1]] = (own * 255)[..., None]
    return images


def translated(images: np.ndarray, targets: Table) -> np.ndarray:
    """Return the translator's images."""
    result = images.copy()
    result[:, 0, : targets.shape[1]] = (targets * 255)[..., None]
    return result


def write(folder: Path, stem: str = "toy", **fields: Any) -> Path:
    """`toy.onnx` and `toy.classifier.onnx`; `fields` replace some of the translator's manifest."""
    path, shape = folder / f"{stem}.onnx", (SIZE, SIZE, 3)
    config = {
        "groups": [list(group) for group in DOMAINS.groups],
        "hidden_by": {name: list(hiding) for name, hiding in DOMAINS.hidden_by.items()},
    }
    of_translator = {
        "schema": 2,
        "task": "domains",
        "corruption": [],
        "input": taken(shape),
        "condition": {"kind": "attributes", "names": list(DOMAINS.names)},
        "training": {"config": config},
    }
    count, seen = len(DOMAINS.names), len(DOMAINS.seen)
    _save(
        path,
        [
            node("Cast", "input", "colours", to=TensorProto.FLOAT),
            node("Slice", "colours zero one axis1", "top"),
            node("Slice", "colours one end axis1", "rest"),
            node("Slice", "top names end axis2", "right"),
            node("Mul", "attributes full", "scaled"),
            node("Reshape", "scaled plane", "left"),
            node("Concat", "left left left", "wide", axis=3),
            node("Concat", "wide right", "row", axis=2),
            node("Concat", "row rest", "made", axis=1),
            *ROUND,
        ],
        {"names": [count], "plane": [-1, 1, count, 1]},
        manifest("translator", shape, **of_translator | fields),
        {
            "input": (TensorProto.UINT8, ["n", *shape]),
            "attributes": (TensorProto.FLOAT, ["n", count]),
        },
        {"image": (TensorProto.UINT8, ["n", *shape])},
    )
    _save(
        folder / f"{stem}.classifier.onnx",
        [
            node("Cast", "image", "colours", to=TensorProto.FLOAT),
            node("Slice", "colours start stop axes", "corner"),
            node("Div", "corner full", "unit"),
            node("Reshape", "unit flat", "scores"),
        ],
        {"start": [0, 0, 0], "stop": [1, seen, 1], "axes": [1, 2, 3], "flat": [-1, seen]},
        manifest("classifier", shape, scores={"names": list(DOMAINS.seen), "kind": "multilabel"}),
        {"image": (TensorProto.UINT8, ["n", *shape])},
        {"scores": (TensorProto.FLOAT, ["n", seen])},
    )
    return path


def _save(path: Path, nodes: list[Any], numbers: dict[str, list[int]], *more: Any) -> None:
    wholes = {"zero": [0], "one": [1], "end": [2**31 - 1], "axis1": [1], "axis2": [2], **numbers}
    graph = Graph(nodes=nodes)
    graph.constants(half=np.float32(0.5), full=np.float32(255))
    graph.constants(**{name: np.array(value, np.int64) for name, value in wholes.items()})
    graph.save(path, *more)
