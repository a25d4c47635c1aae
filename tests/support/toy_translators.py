"""Translators made by hand, whose outputs NumPy can tell: written with onnx.helper only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

import runtime
import zoo

Shape = tuple[int, int, int]


def node(kind: str, inputs: str, output: str, **attributes: object) -> NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


ROUND = [
    node("Add", "made half", "moved"),
    node("Floor", "moved", "whole"),
    node("Cast", "whole", "image", to=TensorProto.UINT8),
]

BODIES = {
    "identity": [node("Identity", "colours", "made")],
    "blur": [
        node("Transpose", "colours", "planes", perm=[0, 3, 1, 2]),
        node("AveragePool", "planes", "means", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Transpose", "means", "made", perm=[0, 2, 3, 1]),
    ],
    "replicate": [node("Concat", "colours colours colours", "made", axis=3)],
    # Hidden pixels become the mean of the known ones.
    "fill": [
        node("Split", "colours parts", "", axis=3),
        node("Div", "mask full", "known"),
        node("Sub", "one known", "unknown"),
        node("Mul", "given known", "kept"),
        node("ReduceSum", "kept axes", "sum"),
        node("ReduceSum", "known axes", "count"),
        node("Div", "sum count", "mean"),
        node("Mul", "mean unknown", "filled"),
        node("Add", "kept filled", "made"),
    ],
}


def model(kind: str, size: int, channels: int, **manifest: object) -> ModelProto:
    """The translator `kind` for images of size×size pixels and so many colour channels."""
    alpha = kind == "fill"
    into, out = channels + alpha, 3 if kind == "replicate" else channels
    body = [NodeProto.FromString(part.SerializeToString()) for part in BODIES[kind]]
    if alpha:
        body[0].output[:] = ["given", "mask"]
    constants = {
        "half": np.float32(0.5),
        "full": np.float32(255),
        "one": np.float32(1),
        "parts": np.array([channels, 1]),
        "axes": np.array([1, 2]),
    }
    used = {name for part in (*body, *ROUND) for name in part.input}
    graph = helper.make_graph(
        [node("Cast", "input", "colours", to=TensorProto.FLOAT), *body, *ROUND],
        kind,
        [helper.make_tensor_value_info("input", TensorProto.UINT8, ["n", size, size, into])],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", size, size, out])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items() if k in used],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    task = {"fill": "inpainting", "replicate": "colorization"}.get(kind, "denoising")
    common = {"height": size, "width": size, "dtype": "uint8", "layout": "NHWC"}
    document = {
        "schema": 1,
        "model": kind,
        "role": "translator",
        "task": task,
        "corruption": [],
        "input": {**common, "channels": into, "alpha": alpha},
        "image": {**common, "channels": out, "range": [0, 255]},
        "precision": "fp32",
        "batch": {"min": 1, "max": 4096},
        "versions": {"zoo": zoo.__version__},
        **manifest,
    }
    helper.set_model_props(result, {runtime.manifest.KEY: json.dumps(document)})
    return result


def write(path: Path, kind: str, size: int, channels: int, **manifest: object) -> Path:
    """Write the translator as an engine file."""
    save(model(kind, size, channels, **manifest), path)
    return path


def blurred(images: np.ndarray) -> np.ndarray:
    """Return the images of `blur`: the mean of the 3×3 pixels that are inside the image."""
    n, height, width, channels = images.shape
    sums, counts = np.zeros(images.shape), np.zeros((height, width, 1))
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            to = np.s_[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
            of = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
            sums[:, *to] += images[:, *of]
            counts[to] += 1
    return np.floor(sums / counts + 0.5).astype(np.uint8)


def filled(images: np.ndarray) -> np.ndarray:
    """Return the images of `fill` for images with alpha."""
    colours, known = images[..., :-1].astype(float), images[..., -1:] / 255
    means = (colours * known).sum((1, 2), keepdims=True) / known.sum((1, 2), keepdims=True)
    return np.floor(colours * known + means * (1 - known) + 0.5).astype(np.uint8)


def scores(said: str) -> dict[str, tuple[float, float]]:
    """Parse the printed scores: name → (input, output)."""
    lines = re.findall(r"^(\S.*?) +input (\S+?)(?: dB)?, output (\S+)", said, re.MULTILINE)
    return {name: (float(before), float(after)) for name, before, after in lines}
