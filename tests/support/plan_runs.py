"""Runs of engines of each role for the GPU tests: on the CPU, as plans, and in ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime
from runtime.errors import DeviceUnavailableError
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


def run_engine(engine: Any) -> NDArray[Any]:
    """Run an engine on inputs of all kinds; return images uint8 or numbers.

    A generator decodes latents and samples from a posterior and the prior; a style-based one also
    truncates, with and without layer noise.
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
        more = {"attributes": np.eye(6, len(names), dtype=np.float32)} if names else {}
        images = pictures(engine.input_shape, 6)
        return engine.translate(images, seed=3, first=8, **more)
    return np.concatenate(_run_generator(engine, role))


def run_on_inputs(engine: Any, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Run an engine on real inputs, by the names of its graph, for which eight bits suffice."""
    role = engine.manifest["role"]
    if role == "encoder":
        return list(engine.encode(feed["image"]))
    if role == "classifier":
        return [engine.classify(feed["image"])]
    if role == "mapping":
        return [engine.map(feed["latent"])]
    if role == "translator":
        more = {"attributes": feed["attributes"]} if "attributes" in feed else {}
        return [engine.translate(feed["input"], seed=3, first=8, **more)]
    return [engine.decode(feed["latent"], seed=4, first=9)]


def _run_generator(engine: Any, role: str) -> list[NDArray[Any]]:
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


def run_on_cpu(name: str) -> NDArray[Any]:
    """Run a shipped engine in ONNX Runtime on the CPU."""
    with KINDS[role_of(name)](WEIGHTS / name, backend="onnxruntime") as engine:
        return run_engine(engine)


def run_plan(name: str, plan: Path) -> NDArray[Any]:
    """Run the plan of a shipped engine."""
    with KINDS[role_of(name)](plan) as engine:
        assert engine.backend == engine.manifest["plan"]["target"]
        return run_engine(engine)


def run_onnxruntime(name: str, **options: Any) -> NDArray[Any]:
    """Run a shipped engine in ONNX Runtime on the first GPU."""
    with KINDS[role_of(name)](WEIGHTS / name, device="cuda", **options) as engine:
        assert engine.backend == "onnxruntime"
        return run_engine(engine)


def check_requests(
    generator: Any,
    whole: NDArray[Any],
    parts: Sequence[tuple[int, int, int | None]],
    first: int = 0,
) -> None:
    """Check that parts of a run of seed 8, streams and threads give the images of the whole run.

    Args:
        whole: images `first`, `first` + 1, …, at least 33.
        parts: start, length and `batch` of each part.
    """
    for start, n, batch in parts:
        part = generator.sample(n, seed=8, first=first + start, batch=batch)
        np.testing.assert_array_equal(part, whole[start : start + n])
    with generator.stream(len(whole), seed=8, first=first, batch=7) as blocks:
        np.testing.assert_array_equal(np.concatenate(list(blocks)), whole)
    with generator.stream(10**12, seed=8, first=first) as blocks:
        block = next(blocks)[: len(whole)]
        np.testing.assert_array_equal(block, whole[: len(block)])
    with ThreadPoolExecutor(6) as pool:
        images = pool.map(lambda i: generator.sample(9, seed=8, first=first + i), range(24))
        for i, part in enumerate(images):
            np.testing.assert_array_equal(part, whole[i : i + 9])


def check_fork(call: Callable[[], object]) -> None:
    """Check that a call raises DeviceUnavailableError, with a remedy, in a forked child."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except DeviceUnavailableError as error:
            os._exit(7 if "spawn" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def assert_near(
    got: NDArray[Any], want: NDArray[Any], levels: tuple[int, float], numbers: float
) -> None:
    """Compare results of two precisions.

    Args:
        levels: limits of the greatest and the mean difference of images, in levels.
        numbers: limit of the RMS difference, relative to the standard deviation.
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
