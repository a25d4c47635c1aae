"""Manifests of engine files, stored in ONNX `metadata_props`."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict
from importlib import metadata
from typing import Any

from onnx import ModelProto

from export.checkpoint import Checkpoint, LatentCheckpoint
from export.modules import ImageFormat, noise_widths
from export.options import Weights
from export.statistics import LatentStatistics
from zoo.data import SOURCES
from zoo.models.generators import FIRST_LAYER_STREAM
from zoo.plans import DIGEST

KEY = "zoo.manifest"
SCHEMA = 1
INPUTS_SCHEMA = 2
"""Schema of files with conditions, styles or layer noise, which older runtimes reject."""

MIXTURE_SCHEMA = 3
"""Schema of files with a learned prior."""

_BLANK = "0" * 64

FOLDER_KINDS = ("pairs", *SOURCES)
"""What may stand before the folder in the name of a data set, as in `mnist:FOLDER`."""

NOISE = {"algorithm": "philox4x32-10", "transform": "box-muller"}
MAX_BATCH = 4096


def build(
    checkpoint: Checkpoint,
    role: str,
    image: ImageFormat,
    weights: Weights,
    fields: dict[str, Any],
    min_rows: int = 1,
    parameters: int = 0,
) -> dict[str, Any]:
    """Build the manifest of one engine file, without `throughput` and `parity`.

    Args:
        checkpoint: the model and its config.json.
        role: of the file.
        image: format of the input or output images.
        weights: storage type of the weights.
        fields: fields of the role (`export.roles`).
        min_rows: least batch size of the graph (`rows.measure_min_rows`).
        parameters: number of weights in the graph.
    """
    config, entry = checkpoint.config, checkpoint.entry
    height, width, channels = checkpoint.shape
    as_levels = image == "uint8"
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "model": entry.name,
        "role": role,
        "paper": asdict(entry.paper),
        "image": {
            "height": height,
            "width": width,
            "channels": channels,
            "dtype": "uint8" if as_levels else "float32",
            "layout": "NHWC" if as_levels else "NCHW",
            "range": [0, 255] if as_levels else [0, 1],
        },
        "classes": list(config.get("classes") or []),
        "attributes": list(config.get("attributes") or []),
        "precision": "fp32",
        "weights_dtype": weights,
        "batch": {"min": min_rows, "max": MAX_BATCH},
        "training": {
            "data": _strip_folders(config.get("data")),
            "epochs": config.get("epochs"),
            "seed": config.get("seed"),
            "config": _strip_folders(config.get("config") or {}),
            "metrics": dict(config.get("metrics") or {}),
            "recipe": _strip_folders(config.get("recipe") or {}),
        }
        | {name: config[name] for name in ("seconds", "device", "measured_on") if name in config},
        "parameters": parameters,
        "checkpoint_sha256": checkpoint.sha256,
        "versions": {
            "zoo": installed_version("generator-zoo"),
            "torch": installed_version("torch"),
            "onnx": installed_version("onnx"),
        },
    }
    return document | fields


def latent_fields(
    checkpoint: LatentCheckpoint, statistics: LatentStatistics | None
) -> dict[str, Any]:
    """Build the fields `latent` and `outside` of models with a latent."""
    latent: dict[str, Any] = {"width": checkpoint.latent, "prior": checkpoint.prior}
    if checkpoint.encoder is not None:
        latent["posterior"] = checkpoint.posterior
    if statistics and statistics.mean is not None:
        latent |= {"mean": statistics.mean, "std": statistics.std}
    return {"latent": latent, "outside": checkpoint.outside()}


def truncation_fields(decoder: Any) -> dict[str, Any]:
    """Build the field `truncation` of a style-based generator, with the schema that has it."""
    mean = [float(value) for value in decoder.style_mean]
    truncation = {"mean": mean, "layers": decoder.layers, "width": len(mean)}
    return {"schema": INPUTS_SCHEMA, "truncation": truncation}


def direction_fields(
    statistics: LatentStatistics | None, directions: dict[str, list[float]]
) -> dict[str, Any]:
    """Build the fields `directions` and, for attributes from a classifier, `directions_judge`."""
    judge = statistics.judge if statistics else ""
    return {"directions": directions} | ({"directions_judge": judge} if judge else {})


def noise_fields(streams: dict[str, Any]) -> dict[str, Any]:
    """Build the field `noise`."""
    return {"noise": {**NOISE, "streams": streams}}


def layer_streams(network: Any) -> list[dict[str, int]]:
    """List the noise streams of a network's layers, with the numbers that each draws per image."""
    widths = enumerate(noise_widths(network), FIRST_LAYER_STREAM)
    return [{"stream": stream, "width": width} for stream, width in widths]


def _strip_folders(value: Any) -> Any:
    """Return the value with absolute paths cut to their last part, which keeps them private."""
    if isinstance(value, dict):
        return {key: _strip_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_strip_folders(entry) for entry in value]
    if not isinstance(value, str):
        return value
    # `mnist:FOLDER` and `pairs:FOLDER` contain a path.
    kind, colon, path = value.partition(":")
    if os.path.isabs(value) or kind not in FOLDER_KINDS:
        kind, colon, path = "", "", value
    return kind + colon + (os.path.basename(path.rstrip("/")) if os.path.isabs(path) else path)


def installed_version(distribution: str) -> str:
    """Return the version of a distribution without build tag; "unknown" if not installed."""
    try:
        return metadata.version(distribution).split("+")[0]
    except metadata.PackageNotFoundError:
        return "unknown"


def attach(model: ModelProto, document: dict[str, Any]) -> None:
    """Store a manifest in a model, with the digest of the file, and replace an earlier one.

    Write the model without further changes, which the digest would reveal as damage.

    Raises:
        runtime.errors.ManifestError: the manifest is invalid; not checked without the compiled
            runtime.
    """
    try:
        from runtime import manifest as checker
    except ImportError:
        pass
    else:
        checker.validate(document)
    document = with_blank_digest(document)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    others = [entry for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, text
    sealed = seal(model.SerializeToString(deterministic=True))
    entry.value = text.replace(_BLANK, read_digest(sealed), 1)


def with_blank_digest(document: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with a blank digest near its beginning, so that it is never split."""
    rest = {name: value for name, value in document.items() if name not in ("schema", DIGEST)}
    return {"schema": document.get("schema"), DIGEST: _BLANK} | rest


_FIELD = re.compile(rb'"' + DIGEST.encode() + rb'": ?"([0-9a-f]{64})"')


def seal(content: bytes) -> bytes:
    """Fill in the digest of an engine file whose manifest is from `with_blank_digest`.

    An earlier digest is replaced. A plan may hold it more than once.
    """
    content = _FIELD.sub(lambda match: match[0].replace(match[1], _BLANK.encode()), content)
    digest = hashlib.blake2b(content, digest_size=32).hexdigest().encode()
    return _FIELD.sub(lambda match: match[0].replace(match[1], digest), content)


def read_digest(content: bytes) -> str:
    """Return the digest in an engine file; raise ValueError if it has none."""
    match = _FIELD.search(content)
    if match is None:
        raise ValueError("the file has no digest")
    return match[1].decode()
