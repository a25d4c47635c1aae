"""Runs engines of each role for the GPU tests: on the CPU, as plans, and in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime
from zoo.engines import WEIGHTS

KINDS = {
    "generator": runtime.Generator,
    "synthesis": runtime.Generator,
    "encoder": runtime.Encoder,
    "translator": runtime.Translator,
    "classifier": runtime.Classifier,
    "mapping": runtime.Mapping,
}


def role_of(name: str) -> str:
    """Return the role of a shipped engine."""
    return runtime.manifest.read(WEIGHTS / name)["role"]


def pictures(shape: tuple[int, ...], n: int) -> NDArray[np.uint8]:
    """Return random images, uint8 [n, *shape]."""
    return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


def ask(engine: Any) -> NDArray[Any]:
    """Run an engine; return images uint8 if it makes any, else numbers.

    A generator decodes latents and samples a posterior and the prior, which the device draws;
    a style-based one also truncates, with and without the noise of its layers.
    """
    role = engine.manifest["role"]
    if role == "encoder":
        return np.stack(engine.encode(pictures(engine.image_shape, 19)))
    if role == "classifier":
        return engine.classify(pictures(engine.image_shape, 5))
    if role == "mapping":
        return engine.map(runtime.noise.normals(1, 0, 6, engine.latent_width))
    if role == "translator":
        names = (engine.manifest.get("condition") or {}).get("names", [])
        inputs = {"attributes": np.eye(6, len(names), dtype=np.float32)} if names else {}
        images = pictures(engine.input_shape, 6)
        return engine.translate(images, seed=3, first=8, **inputs)
    return np.concatenate(_generated(engine, role))


def ask_real(engine: Any, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Run an engine on real inputs by the names of its graph: eight bits hold no others."""
    role = engine.manifest["role"]
    if role == "encoder":
        return list(engine.encode(feed["image"]))
    if role == "classifier":
        return [engine.classify(feed["image"])]
    if role == "mapping":
        return [engine.map(feed["latent"])]
    if role == "translator":
        inputs = {"attributes": feed["attributes"]} if "attributes" in feed else {}
        return [engine.translate(feed["input"], seed=3, first=8, **inputs)]
    return [engine.decode(feed["latent"], seed=4, first=9)]


def _generated(engine: Any, role: str) -> list[NDArray[Any]]:
    width = engine.latent_width
    latents = runtime.noise.normals(5, 2, 21, width)
    images = [engine.decode(latents), engine.decode(latents[:3], seed=4, first=9)]
    if role == "synthesis":
        return images
    spread = np.full(width, -2.0, np.float32)
    images.append(engine.sample(7, seed=3, first=11, mu=latents[0], logvar=spread))
    if engine.prior == "normal":
        images.append(engine.sample(37, seed=2**63 + 5, first=2**40))
    if engine.style_layers:
        images.append(engine.sample(9, seed=2, first=5, truncation=0.5))
        images.append(engine.sample(2, seed=2, truncation=0.5, noise=0.0))
    return images


def by_itself(name: str) -> NDArray[Any]:
    """Run a shipped engine in ONNX Runtime on the CPU."""
    with KINDS[role_of(name)](WEIGHTS / name, backend="onnxruntime") as engine:
        return ask(engine)


def by_plan(name: str, plan: Path) -> NDArray[Any]:
    """Run its plan."""
    with KINDS[role_of(name)](plan) as engine:
        assert engine.backend == engine.manifest["plan"]["target"]
        return ask(engine)


def by_onnxruntime(name: str, **options: Any) -> NDArray[Any]:
    """Run it in ONNX Runtime on the first GPU."""
    with KINDS[role_of(name)](WEIGHTS / name, device="cuda", **options) as engine:
        assert engine.backend == "onnxruntime"
        return ask(engine)


def assert_near(
    got: NDArray[Any], want: NDArray[Any], levels: tuple[int, float], numbers: float
) -> None:
    """Compare results of two precisions.

    Args:
        levels: greatest and mean difference of images, in levels.
        numbers: RMS difference of numbers, in parts of the standard deviation.
    """
    assert got.dtype == want.dtype and got.shape == want.shape
    if want.dtype == np.uint8:
        difference = np.abs(got.astype(int) - want)
        greatest, mean = levels
        assert difference.max() <= greatest and difference.mean() <= mean
        return
    known = np.isfinite(want)
    np.testing.assert_array_equal(known, np.isfinite(got))
    rms = np.sqrt(np.mean((got[known] - want[known]) ** 2))
    assert rms <= numbers * want[known].std()
