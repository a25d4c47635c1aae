"""The public functions of `runtime`: how each is called, and bad values of every argument."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import bad_values
import runtime
import zoo
from bad_values import Lying
from runtime import cuda, manifest, noise, ops

IMAGES = np.zeros((3, 28, 28, 1), np.uint8)


@dataclass(frozen=True)
class Entry:
    """A public function: how it is called, arguments that are good, and bad ones for each."""

    call: Callable[..., Any]
    good: dict[str, Any]
    bad: dict[str, list[Any]]


def optional(values: list[Any]) -> list[Any]:
    """Return the values without None, for an argument whose default is None."""
    return [value for value in values if value is not None]


def latent_entries(engine: runtime.Generator) -> dict[str, Entry]:
    width, classes = engine.latent_width, engine.class_count
    latents = np.zeros((3, width), np.float32)
    of_latents = bad_values.arrays(np.float32, latents.shape)
    too_large = bad_values.huge(latents.shape, np.float32)
    images = (3, *engine.image_shape)
    scales = {"truncation": bad_values.NUMBERS}
    run = {"seed": bad_values.INTEGERS, "first": [*bad_values.INTEGERS, 2**64 - 2]}
    batch = {"batch": optional([*bad_values.INTEGERS, 0, 2**40, 2**62])}
    labels = {"labels": bad_values.labels(classes)}
    out = {"out": bad_values.outs(images, np.uint8)}
    posterior = {"mu": latents, "logvar": latents}
    some = [*bad_values.INTEGERS, 0]
    drawn = {**run, **batch, **labels, **scales, "noise": bad_values.NUMBERS}
    drawn |= {"cycle": bad_values.FLAGS, "prior": bad_values.TEXTS}
    keys = {"keys": bad_values.keys(3)}
    # One row for all is good where there are several.
    around = [value for value in of_latents if value is not None]
    spread = [value for value in around if not np.array_equal(value, np.full((3, width), -np.inf))]
    sizes = [2**31, 10**12]
    return {
        "Generator.sample": Entry(
            engine.sample,
            {"n": 3},
            {"n": [*some, 2**40, 2**62, 2**63], **drawn, **keys, "mu": [], "logvar": [], **out},
        ),
        "Generator.sample of a posterior": Entry(
            engine.sample, {"n": 3, **posterior}, {"mu": around, "logvar": spread}
        ),
        "Generator.decode": Entry(
            engine.decode,
            {"latents": latents},
            {
                "latents": [*of_latents, *too_large],
                "seed": optional(run["seed"]),
                "first": run["first"],
                **labels,
                **scales,
                **keys,
                **out,
            },
        ),
        "Generator.interpolate": Entry(
            engine.interpolate,
            {"a": latents, "b": latents + 1, "steps": 2},
            {
                "a": [*of_latents, *too_large],
                "b": of_latents,
                "steps": [*some, *sizes],
                "mode": bad_values.TEXTS,
                **labels,
                **scales,
                "out": bad_values.outs((3, *images), np.uint8),
            },
        ),
        "Generator.stream": Entry(
            engine.stream,
            {"n": 3},
            {"n": [*some, 2**64], **drawn, **keys, "mu": [latents], "logvar": [latents], **out},
        ),
        "Generator.stream of a posterior": Entry(
            engine.stream, {"n": 3, **posterior}, {"mu": [latents], "logvar": [latents]}
        ),
    }


def image_entries(engines: dict[str, Any]) -> dict[str, Entry]:
    encoder, mapping = engines["Encoder"], engines["Mapping"]
    classifier, translator = engines["Classifier"], engines["Translator"]
    images = [*bad_values.arrays(np.uint8, IMAGES.shape), *bad_values.huge(IMAGES.shape, np.uint8)]
    width = mapping.latent_width
    latents = np.zeros((3, width), np.float32)
    faces = np.zeros((3, *translator.input_shape), np.uint8)
    expected = np.zeros((3, len(translator.attributes)), np.float32)
    scores = (3, len(classifier.names))
    return {
        "Encoder.encode": Entry(
            encoder.encode, {"images": IMAGES}, {"images": images, "out": bad_values.TEXTS}
        ),
        "Encoder.embed": Entry(
            encoder.embed,
            {"images": IMAGES},
            {"images": images, "out": bad_values.outs((3, encoder.latent_width), np.float32)},
        ),
        "Mapping.map": Entry(
            mapping.map,
            {"latents": latents},
            {
                "latents": bad_values.arrays(np.float32, latents.shape),
                "out": bad_values.outs((3, mapping.style_width), np.float32),
            },
        ),
        "Classifier.classify": Entry(
            classifier.classify,
            {"images": IMAGES},
            {"images": images, "out": bad_values.outs(scores, np.float32)},
        ),
        "Translator.translate": Entry(
            translator.translate,
            {"images": faces, "attributes": expected},
            {
                "images": bad_values.arrays(np.uint8, faces.shape),
                "attributes": bad_values.arrays(np.float32, expected.shape),
                "seed": bad_values.INTEGERS,
                "first": [*bad_values.INTEGERS, 2**64 - 2],
                "keys": bad_values.keys(3),
                "out": bad_values.outs((3, *translator.image_shape), np.uint8),
            },
        ),
    }


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of a NumPy array; None for anything else."""
    return value.shape if isinstance(value, np.ndarray) else None


def operator_entries() -> dict[str, Entry]:
    floats = bad_values.arrays(np.float32, (3, 8))
    finite = [
        value
        for value in floats
        # Operators compute with what is not finite as IEEE 754 says.
        if not (isinstance(value, np.ndarray) and value.dtype == float and value.shape == (3, 8))
    ]
    # A second operand of another width is the one that is refused.
    narrow = [value for value in finite if shape_of(value) != (3, 9)]
    line = [value for value in finite if shape_of(value) != (2,)]
    line += bad_values.huge((3,), np.float32)
    row, key = np.zeros((3, 8), np.float32), [0, 0]
    words = [value for value in bad_values.ANYTHING if shape_of(value) != (2,)]
    words += [[0], [0.0, 1.0], [-1, 0], [2**32, 0], [10**400, 0]]
    some = [*bad_values.INTEGERS, 0]
    numbers = {"seed": bad_values.INTEGERS, "stream": [*bad_values.INTEGERS, 2**32]}
    return {
        "ops.reparametrized_sample": Entry(
            ops.reparametrized_sample,
            {"mu": row, "logvar": row, "seed": 0, "first": 0},
            {
                "mu": narrow,
                "logvar": finite,
                **numbers,
                "first": [*bad_values.INTEGERS, 2**64 - 2],
                "keys": bad_values.keys(3),
            },
        ),
        "ops.batched_interpolate": Entry(
            ops.batched_interpolate,
            {"a": row, "b": row, "t": [0.5]},
            {"a": narrow, "b": finite, "t": line, "mode": bad_values.TEXTS},
        ),
        "noise.normal": Entry(
            noise.normal,
            {"seed": 0, "sample": 0, "stream": 0, "count": 4},
            {**numbers, "sample": bad_values.INTEGERS, "count": [*some, 2**35]},
        ),
        "noise.normals": Entry(
            noise.normals,
            {"seed": 0, "first": 0, "n": 3, "width": 4},
            {
                **numbers,
                "first": [*bad_values.INTEGERS, 2**64 - 2],
                "n": [*some, 2**40],
                "width": [*some, 2**35],
            },
        ),
        "noise.philox": Entry(
            noise.philox, {"counter": [0] * 4, "key": key}, {"counter": words, "key": words}
        ),
    }


def device_entries() -> dict[str, Entry]:
    """Without a GPU: what is wrong is said before one is looked for."""
    good, key, t = Lying(), Lying(shape=(2,), typestr="<i8"), Lying(shape=(5,))
    bad = [
        *bad_values.arrays(np.float32, (3, 8)),
        np.zeros((3, 8), np.float32),
        Lying(typestr="<c8"),
        Lying(shape=(3, 0)),
        Lying(shape=(3, 8, 1)),
        Lying(strides=(64, 4)),
        Lying(data=(4097, False)),
    ]
    # Good as it is, and where it is not: a GPU is needed to say so.
    bad = [value for value in bad if not unreachable(value)]
    written = [*bad, Lying(data=(4096, True))]
    queue = {"queue": bad_values.INTEGERS}
    steps = [Lying(shape=shape) for shape in ((3, 4, 8), (3, 5), (2, 5, 8))]
    levels = Lying(shape=(3, 2, 2, 1), typestr="|u1")
    return {
        "cuda.reparametrized_sample": Entry(
            cuda.reparametrized_sample,
            {"out": good, "key": key},
            {
                "out": written,
                "key": [*bad, good, Lying(shape=(2,)), Lying(shape=(3,), typestr="<i8")],
                "mu": [*optional(bad), Lying(shape=(2, 8)), Lying(typestr="<f2")],
                "logvar": [*optional(bad), Lying(shape=(2, 8))],
                "stream": [*bad_values.INTEGERS, 2**32],
                **queue,
            },
        ),
        "cuda.advance": Entry(
            cuda.advance,
            {"key": key, "samples": 1},
            {
                "key": [*bad, good, Lying(shape=(2,), typestr="<i8", data=(4096, True))],
                "samples": bad_values.INTEGERS,
                **queue,
            },
        ),
        "cuda.batched_interpolate": Entry(
            cuda.batched_interpolate,
            {"out": Lying(shape=(3, 5, 8)), "a": good, "b": good, "t": t},
            {
                "out": [*written, *steps],
                "a": bad,
                "b": [*bad, Lying(shape=(2, 8))],
                "t": bad,
                "mode": bad_values.TEXTS,
                **queue,
            },
        ),
        "cuda.image_levels": Entry(
            cuda.image_levels,
            {"out": levels, "images": Lying(shape=(3, 1, 2, 2))},
            {
                "out": [*written, Lying(shape=(3, 1, 2, 2), typestr="|u1")],
                "images": [*bad, good, Lying(shape=(3, 1, 2, 2), typestr="|u1")],
                **queue,
            },
        ),
        "to_device": Entry(
            runtime.to_device,
            {"array": np.zeros(3, np.float32)},
            {
                "array": [*bad_values.ANYTHING, np.zeros(3), np.zeros(3, np.int8)],
                "device": [*bad_values.INTEGERS, 2**31],
            },
        ),
    }


def unreachable(value: Any) -> bool:
    interface = getattr(value, "__cuda_array_interface__", None)
    return isinstance(value, Lying) and interface == Lying().__cuda_array_interface__


def file_entries(folder: Path) -> dict[str, Entry]:
    engine = zoo.engine_path("linear-ae.onnx")
    paths = bad_values.paths(folder, engine)
    options = {name: bad_values.TEXTS for name in ("device", "backend", "precision")}
    counts = optional([*bad_values.INTEGERS, 0])
    many = {"instances": [*counts, 4097], "bucket": counts}
    documents = [value for value in bad_values.ANYTHING if value is not None]
    names = {
        "Generator": "linear-ae",
        "Encoder": "linear-ae.encoder",
        "Mapping": "stylegan.mapping",
        "Translator": "pix2pix-edges",
        "Classifier": "fashion-classifier",
    }
    result = {
        role: Entry(
            getattr(runtime, role),
            {"path": zoo.engine_path(f"{name}.onnx")},
            {"path": paths, **options, **many},
        )
        for role, name in names.items()
    }
    return result | {
        "Generators": Entry(
            runtime.Generators,
            {"path": engine, "devices": ["cpu"]},
            {
                "path": paths,
                "devices": [*optional(bad_values.TEXTS), ["cpu", "cpu"], [3], [[]], ["cpu", None]],
                "options": [],
            },
        ),
        "measure_layers": Entry(
            runtime.measure_layers,
            {"path": engine, "seconds": 0.0},
            {
                "path": paths,
                "backend": bad_values.TEXTS,
                "precision": bad_values.TEXTS,
                "batch": [*bad_values.INTEGERS, 0, 2**40],
                "seconds": [*bad_values.NUMBERS, -1.0, 601],
            },
        ),
        "manifest.read": Entry(manifest.read, {"path": engine}, {"path": paths}),
        "manifest.verify": Entry(manifest.verify, {"path": engine}, {"path": paths}),
        "manifest.validate": Entry(
            manifest.validate, {}, {"document": [*documents, {"role": {1}}, {"a": math.nan}]}
        ),
    }
