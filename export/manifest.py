"""The manifest of an engine file, stored in ONNX `metadata_props`."""

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
from zoo.models.generators import FIRST_LAYER_STREAM
from zoo.plans import DIGEST

KEY = "zoo.manifest"
SCHEMA = 1
INPUTS_SCHEMA = 2
"""Schema of files with conditions, styles or layer noise, which older runtimes must reject."""

_BLANK = "0" * 64

NOISE = {"algorithm": "philox4x32-10", "transform": "box-muller"}
MAX_BATCH = 4096


def build(
    checkpoint: Checkpoint,
    role: str,
    image: ImageFormat,
    weights: Weights,
    fields: dict[str, Any],
    fewest_rows: int = 1,
    parameters: int = 0,
) -> dict[str, Any]:
    """The manifest of one engine file, without `throughput` and `parity`.

    Args:
        checkpoint: the model and its config.json.
        role: name of what the file does.
        image: format of the images that go in or out.
        weights: how the weights are stored.
        fields: those of the role (`export.roles`).
        fewest_rows: of a run of the graph (`rows.fewest`).
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
        "batch": {"min": fewest_rows, "max": MAX_BATCH},
        "training": {
            "data": _without_folders(config.get("data")),
            "epochs": config.get("epochs"),
            "seed": config.get("seed"),
            "config": _without_folders(config.get("config") or {}),
            "metrics": dict(config.get("metrics") or {}),
            "recipe": _without_folders(config.get("recipe") or {}),
        }
        | {name: config[name] for name in ("seconds", "device", "measured_on") if name in config},
        "parameters": parameters,
        "checkpoint_sha256": checkpoint.sha256,
        "versions": {
            "zoo": version("generator-zoo"),
            "torch": version("torch"),
            "onnx": version("onnx"),
        },
    }
    return document | fields


def latent(checkpoint: LatentCheckpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """The fields `latent` and `outside` of a file of a model with a latent."""
    found: dict[str, Any] = {"width": checkpoint.latent, "prior": checkpoint.prior}
    if checkpoint.encoder is not None:
        found["posterior"] = checkpoint.posterior
    if statistics and statistics.mean is not None:
        found |= {"mean": statistics.mean, "std": statistics.std}
    return {"latent": found, "outside": checkpoint.outside()}


def truncation(decoder: Any) -> dict[str, Any]:
    """The field `truncation` of a style-based generator, and the schema that has it."""
    mean = [float(value) for value in decoder.style_mean]
    found = {"mean": mean, "layers": decoder.layers, "width": len(mean)}
    return {"schema": INPUTS_SCHEMA, "truncation": found}


def directions(
    statistics: LatentStatistics | None, found: dict[str, list[float]]
) -> dict[str, Any]:
    """The field `directions`, and by what the attributes were told if the data did not say it."""
    judge = statistics.judge if statistics else ""
    return {"directions": found} | ({"directions_judge": judge} if judge else {})


def noise_streams(streams: dict[str, Any]) -> dict[str, Any]:
    """The field `noise`."""
    return {"noise": {**NOISE, "streams": streams}}


def layers(network: Any) -> list[dict[str, int]]:
    """The streams of a network's layers, and how many numbers each draws for an image."""
    widths = enumerate(noise_widths(network), FIRST_LAYER_STREAM)
    return [{"stream": stream, "width": width} for stream, width in widths]


def _without_folders(value: Any) -> Any:
    """The value with paths cut to their last part: a data folder's place is nobody's business."""
    if isinstance(value, dict):
        return {key: _without_folders(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_folders(entry) for entry in value]
    if isinstance(value, str) and os.path.isabs(value):
        return os.path.basename(value.rstrip("/"))
    return value


def version(distribution: str) -> str:
    """Version of an installed distribution, without a build tag; "unknown" if not installed."""
    try:
        return metadata.version(distribution).split("+")[0]
    except metadata.PackageNotFoundError:
        return "unknown"


def attach(model: ModelProto, document: dict[str, Any]) -> None:
    """Store the manifest in a model, in place of one that is there, with the digest of the file.

    The model is to be written as it is: a change afterwards makes it a damaged file.

    Raises:
        runtime.errors.ManifestError: it is not valid (checked where the
            compiled runtime is installed).
    """
    try:
        from runtime import manifest as checker
    except ImportError:
        pass
    else:
        checker.validate(document)
    document = unsealed(document)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    kept = [entry for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, text
    sealed = seal(model.SerializeToString(deterministic=True))
    entry.value = text.replace(_BLANK, digest_in(sealed), 1)


def unsealed(document: dict[str, Any]) -> dict[str, Any]:
    """A manifest with room for its file's digest, near its beginning: it stands in one piece."""
    rest = {name: value for name, value in document.items() if name not in ("schema", DIGEST)}
    return {"schema": document.get("schema"), DIGEST: _BLANK} | rest


_FIELD = re.compile(rb'"' + DIGEST.encode() + rb'": ?"([0-9a-f]{64})"')


def seal(content: bytes) -> bytes:
    """An engine file with its digest in the room that `unsealed` has left for it.

    A digest that is there already is made anew. A plan may hold it more than once.
    """
    content = _FIELD.sub(lambda found: found[0].replace(found[1], _BLANK.encode()), content)
    digest = hashlib.blake2b(content, digest_size=32).hexdigest().encode()
    return _FIELD.sub(lambda found: found[0].replace(found[1], digest), content)


def digest_in(content: bytes) -> str:
    """The digest that an engine file holds. Raises ValueError where it holds none."""
    found = _FIELD.search(content)
    if found is None:
        raise ValueError("the file has no digest")
    return found[1].decode()
