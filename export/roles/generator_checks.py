"""Checks of exported generators, including classes, styles and layer noise."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check, compare_close, compare_exact
from export.graph import LATENT, MEAN, find_producer
from export.inputs import Inputs, mean_images
from export.mixture import STREAM
from export.modules import noise_widths
from export.parity import (
    BATCHES,
    FIRST,
    FOLDING_LIMIT,
    ROWS,
    SEED,
    CheckedFile,
    check_batch_invariance,
    check_layers,
    compare_floats,
    compare_images,
    expected_images,
    open_engines,
)
from export.reference import F32
from export.stock import Session
from zoo.models.folding import fold

# Pairs of truncation and noise scale to check, besides (1, 1).
SCALES = ((0.7, 1.0), (1.0, 0.0), (0.5, 0.25))


def check(file: CheckedFile) -> list[Check]:
    engine, path, model, runtime = file.name, file.path, file.model, file.runtime
    checkpoint: LatentCheckpoint = file.checkpoint
    width = checkpoint.latent
    inputs = Inputs.of(checkpoint, SEED, FIRST, ROWS)
    results = _check_folding(engine, checkpoint)
    results += _check_noise(engine, model, inputs, width)
    if checkpoint.style_based:
        zeros = np.zeros((ROWS, width), np.float32)
        operands = {"mu": zeros, "logvar": zeros, **inputs.feed()}
        results += check_layers(file, noise_widths(checkpoint.decoder), operands)

    latents = reference.normals(SEED, FIRST, ROWS, width)
    mean = mean_images(checkpoint.decoder, latents, inputs)
    has_mean = find_producer(model, MEAN) is not None
    if has_mean:
        outputs = _sample(Session(model, extra=[MEAN]), inputs, ROWS, width)
        results.append(compare_floats(engine, "mean image: PyTorch", outputs[MEAN], mean))

    stock = Session(path.read_bytes())
    images = _sample(stock, inputs, ROWS, width)["image"]
    expected = expected_images(mean, model)
    results.append(compare_images(engine, "image: PyTorch", images, expected))
    results.append(_check_batches(engine, stock, images, latents, inputs))
    if has_mean:
        results.append(_check_mean(engine, model, latents, inputs))
    threaded = _sample(Session(path.read_bytes(), threads=0), inputs, ROWS, width)
    results.append(compare_exact(engine, "image: threads", threaded["image"], images))
    results += _check_mixture(file, stock, inputs)
    variants = {(1.0, 1.0): images}
    for scales in SCALES if checkpoint.style_based else ():
        other = Inputs.of(checkpoint, SEED, FIRST, ROWS, *scales)
        variants[scales] = _sample(stock, other, ROWS, width)["image"]
        expected = expected_images(mean_images(checkpoint.decoder, latents, other), model)
        name = f"image: truncation {scales[0]:g}, noise {scales[1]:g}"
        results.append(compare_images(engine, f"{name}: PyTorch", variants[scales], expected))
    with ExitStack() as stack:
        for backend, opened in open_engines(runtime, "Generator", path, stack).items():
            results += _check_runtime(engine, opened, backend, variants, latents, inputs)
    return results


def _check_folding(engine: str, checkpoint: LatentCheckpoint) -> list[Check]:
    """Compare the folded generator with the trained one, before weights are rounded."""
    if checkpoint.trained is None:
        return []
    trained = copy.deepcopy(checkpoint.trained.get_submodule("generator")).double()
    inputs = Inputs.of(checkpoint, SEED, 0, 8)
    latents = reference.normals(SEED, 0, 8, checkpoint.latent).astype(np.float64)
    expected = mean_images(trained, latents, inputs)
    got = mean_images(fold(trained), latents, inputs)
    limit = FOLDING_LIMIT * max(1.0, float(np.abs(expected).max()))
    return [compare_close(engine, "mean image: folding, float64", got, expected, limit, limit)]


def _sample(session: Session, inputs: Inputs, n: int, width: int) -> dict[str, NDArray[Any]]:
    return session.sample(n, width, inputs.seed, inputs.first, **inputs.feed())


def _decode(session: Session, latents: F32, inputs: Inputs) -> dict[str, NDArray[Any]]:
    return session.decode(latents, inputs.seed, inputs.first, **inputs.feed())


def _check_noise(engine: str, model: ModelProto, inputs: Inputs, width: int) -> list[Check]:
    session = Session(model, extra=[LATENT])
    more = inputs.feed()
    random = np.random.default_rng(0)
    mu = random.standard_normal((ROWS, width), np.float32)
    logvar = random.uniform(-20, 20, (ROWS, width)).astype(np.float32)
    zeros = np.zeros_like(mu)
    got, expected = [], []
    for seed, first in ((0, 0), (SEED, FIRST), (2**64 - 1, 2**64 - 20)):
        for rows in ((zeros, zeros), (mu, logvar)):
            got.append(session.generate(*rows, seed, first, **more)[LATENT])
            expected.append(reference.reparametrized_sample(*rows, seed, first))
    through = _decode(session, mu, inputs)[LATENT]
    return [
        compare_exact(
            engine, "latent: portable body", np.concatenate(got), np.concatenate(expected)
        ),
        compare_exact(engine, "latent: decode is the identity", through, mu),
    ]


def _check_batches(
    engine: str, stock: Session, images: NDArray[Any], latents: F32, inputs: Inputs
) -> Check:
    """Compare rows in batches of other sizes and in other places of a batch."""
    width = latents.shape[1]
    got, expected = [], []
    for batch in BATCHES:
        for offset in (0, batch // 2):
            for start in range(offset, ROWS, batch):
                stop = min(start + batch, ROWS)
                part = inputs.slice(start, stop)
                got.append(_sample(stock, part, stop - start, width)["image"])
                expected.append(images[start:stop])
    order = np.random.default_rng(1).permutation(ROWS)
    alone = images
    if inputs.noise is not None:
        alone = _decode(stock, latents, inputs.reorder(np.arange(ROWS)))["image"]
    got.append(_decode(stock, latents[order], inputs.reorder(order))["image"])
    expected.append(alone[order])
    return compare_exact(
        engine, "image: batch invariance", np.concatenate(got), np.concatenate(expected)
    )


def _check_mixture(file: CheckedFile, stock: Session, inputs: Inputs) -> list[Check]:
    """Compare samples of the learned prior in stock ONNX Runtime and in ours with PyTorch."""
    checkpoint: LatentCheckpoint = file.checkpoint
    mixture = checkpoint.mixture
    if mixture is None:
        return []
    standard = reference.normals(SEED, FIRST, ROWS, checkpoint.latent)
    choice = reference.normals(SEED, FIRST, ROWS, 1, STREAM)[:, 0]
    mean = mean_images(checkpoint.decoder, mixture.transform(standard, choice), inputs)
    expected = expected_images(mean, file.model)
    drawn = _sample(stock, replace(inputs, mixture=1.0), ROWS, checkpoint.latent)["image"]
    name = "image: learned prior"
    results = [compare_images(file.name, f"{name}: PyTorch", drawn, expected)]
    with ExitStack() as stack:
        engines = open_engines(file.runtime, "Generator", file.path, stack)
        for backend, generator in engines.items():
            sample = partial(generator.sample, seed=SEED, prior="mixture")
            whole = sample(ROWS, first=FIRST)
            parts = [sample(13, first=FIRST), sample(ROWS - 13, first=FIRST + 13, batch=7)]
            title = f"{name}: batch invariance, {backend}"
            results += [
                compare_images(file.name, f"{name}: runtime, {backend}", whole, expected),
                compare_exact(file.name, title, np.concatenate(parts), whole),
            ]
    return results


def _check_mean(engine: str, model: ModelProto, latents: F32, inputs: Inputs) -> Check:
    """Compare the mean image, whose bits are hidden by rounding, at several batch sizes."""
    session = Session(model, extra=[MEAN])

    def run(start: int, stop: int) -> NDArray[Any]:
        return _decode(session, latents[start:stop], inputs.slice(start, stop))[MEAN]

    return check_batch_invariance(engine, "mean image: batch invariance", run, run(0, ROWS))


def _check_runtime(
    engine: str,
    generator: Any,
    backend: str,
    variants: dict[tuple[float, float], NDArray[Any]],
    latents: F32,
    inputs: Inputs,
) -> list[Check]:
    same = compare_exact if backend == "onnxruntime" else compare_images
    images = variants[1.0, 1.0]
    order = np.random.default_rng(2).permutation(ROWS)
    labels = None if inputs.labels is None else inputs.labels[order]
    # These parameters are those of the prior, which some files lack.
    zeros = np.zeros(generator.latent_width, np.float32)
    sample = partial(generator.sample, seed=SEED, mu=zeros, logvar=zeros)
    whole = sample(ROWS, first=FIRST)
    others = [sample(ROWS, first=FIRST, batch=batch) for batch in BATCHES]
    if generator.prior != "none":
        others[0] = generator.sample(ROWS, seed=SEED, first=FIRST, labels=inputs.labels)
        others.append(generator.decode(latents, seed=SEED, first=FIRST))
    part = sample(ROWS - 20, first=FIRST + 13, batch=7)
    alone = whole if inputs.noise is None else generator.decode(latents)
    decoded = generator.decode(latents[order], labels=labels)
    scaled = {
        scales: [
            sample(ROWS, first=FIRST, batch=batch, truncation=scales[0], noise=scales[1])
            for batch in (ROWS, 7)
        ]
        for scales in variants
        if scales != (1.0, 1.0)
    }
    got = [*others, part, decoded, *(parts[1] for parts in scaled.values())]
    expected = [*[whole] * len(others), whole[13 : ROWS - 7], alone[order]]
    expected += [parts[0] for parts in scaled.values()]
    results = [same(engine, f"image: runtime, {backend}", whole, images)]
    for (truncation, noise), parts in scaled.items():
        name = f"image: truncation {truncation:g}, noise {noise:g}: runtime, {backend}"
        results.append(same(engine, name, parts[0], variants[truncation, noise]))
    name = f"image: batch invariance, {backend}"
    return [*results, compare_exact(engine, name, np.concatenate(got), np.concatenate(expected))]
