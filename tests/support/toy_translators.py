"""Translators made by hand, whose outputs NumPy can tell."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from onnx import TensorProto

from small_engines import Graph, manifest, node, taken

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
        node("Split", "colours parts", "given mask", axis=3),
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


def write(path: Path, kind: str, size: int, channels: int, **fields: object) -> Path:
    """Write the translator `kind` for images of size×size pixels and so many colour channels."""
    alpha = kind == "fill"
    given, made = (
        (size, size, channels + alpha),
        (size, size, 3 if kind == "replicate" else channels),
    )
    graph = Graph(nodes=[node("Cast", "input", "colours", to=TensorProto.FLOAT), *BODIES[kind]])
    graph.nodes += ROUND
    graph.constants(
        half=np.float32(0.5),
        full=np.float32(255),
        one=np.float32(1),
        parts=np.array([channels, 1]),
        axes=np.array([1, 2]),
    )
    task = {"fill": "inpainting", "replicate": "colorization"}.get(kind, "denoising")
    document = manifest("translator", made, task=task, corruption=[], input=taken(given, alpha))
    graph.save(
        path,
        document | fields,
        {"input": (TensorProto.UINT8, ["n", *given])},
        {"image": (TensorProto.UINT8, ["n", *made])},
    )
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
