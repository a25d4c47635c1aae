"""A translator between domains and its classifier, made by hand: images whose pixels say what they
have, so that NumPy can tell what becomes of them. Written with onnx.helper only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

import runtime
import zoo
from toy_translators import ROUND, node
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
    path = folder / f"{stem}.onnx"
    common = {"height": SIZE, "width": SIZE, "channels": 3, "dtype": "uint8", "layout": "NHWC"}
    document = {
        "schema": 1,
        "model": "stargan",
        "image": {**common, "range": [0, 255]},
        "precision": "fp32",
        "batch": {"min": 1, "max": 4096},
        "versions": {"zoo": zoo.__version__},
    }
    config = {
        "groups": [list(group) for group in DOMAINS.groups],
        "hidden_by": {name: list(hiding) for name, hiding in DOMAINS.hidden_by.items()},
    }
    of_translator = {
        "schema": 2,
        "role": "translator",
        "task": "domains",
        "corruption": [],
        "input": {**common, "alpha": False},
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
        {"input": (TensorProto.UINT8, ["n", SIZE, SIZE, 3]),
         "attributes": (TensorProto.FLOAT, ["n", count])},
        {"image": (TensorProto.UINT8, ["n", SIZE, SIZE, 3])},
        {"names": [count], "plane": [-1, 1, count, 1]},
        {**document, **of_translator, **fields},
    )  # fmt: skip
    _save(
        folder / f"{stem}.classifier.onnx",
        [
            node("Cast", "image", "colours", to=TensorProto.FLOAT),
            node("Slice", "colours start stop axes", "corner"),
            node("Div", "corner full", "unit"),
            node("Reshape", "unit flat", "scores"),
        ],
        {"image": (TensorProto.UINT8, ["n", SIZE, SIZE, 3])},
        {"scores": (TensorProto.FLOAT, ["n", seen])},
        {"start": [0, 0, 0], "stop": [1, seen, 1], "axes": [1, 2, 3], "flat": [-1, seen]},
        {
            **document,
            "role": "classifier",
            "scores": {"names": list(DOMAINS.seen), "kind": "multilabel"},
        },
    )
    return path


def _save(
    path: Path,
    nodes: list[Any],
    inputs: dict[str, Any],
    outputs: dict[str, Any],
    numbers: dict[str, list[int]],
    document: dict[str, Any],
) -> None:
    wholes = {"zero": [0], "one": [1], "end": [2**31 - 1], "axis1": [1], "axis2": [2], **numbers}
    constants = {name: np.array(value, np.int64) for name, value in wholes.items()}
    constants |= {"half": np.float32(0.5), "full": np.float32(255)}
    used = {name for part in nodes for name in part.input}
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in used],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {runtime.manifest.KEY: json.dumps(document)})
    save(model, path)
