"""The manifest: the JSON document inside an engine file that describes it."""

import json
import os
from typing import Any

from runtime._arguments import as_path, one_line
from runtime._library import native
from runtime.errors import ManifestError

SCHEMA: int = native.MANIFEST_SCHEMA
"""Newest schema that this runtime reads."""

KEY: str = native.MANIFEST_KEY
"""Key of the manifest in an ONNX file's `metadata_props`; marks the manifest in a plan."""


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read and validate the manifest of an engine file, without loading the graph.

    A TensorRT plan is read without TensorRT and without a GPU.
    Raises EngineNotFoundError, EngineFileError (empty, truncated, neither ONNX nor
    a plan), NotAnEngineError, ManifestError and SchemaVersionError.
    """
    document: dict[str, Any] = json.loads(native.read_manifest(os.fsencode(as_path("path", path))))
    return document


def verify(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the manifest of an engine file, and check its graph as is done before it runs.

    The graph must be complete and agree with the manifest, and the file with the manifest's digest
    `file_blake2b`, if there is one. Raises as `read`, and EngineFileError.
    """
    document: dict[str, Any] = json.loads(
        native.read_checked_manifest(os.fsencode(as_path("path", path)))
    )
    return document


def validate(document: dict[str, Any] | str) -> dict[str, Any]:
    """Return the document as a dict if it is a valid manifest.

    Raises ManifestError naming the field, or SchemaVersionError naming both versions.
    """
    text, encoded = _encode(document)
    native.check_manifest(encoded)
    checked: dict[str, Any] = json.loads(text)
    return checked


def _encode(document: dict[str, Any] | str) -> tuple[str, bytes]:
    try:
        text = document if isinstance(document, str) else json.dumps(document)
        return text, text.encode()
    except (RecursionError, TypeError, ValueError) as error:
        # Too deeply or circularly nested, a type that JSON lacks, or a lone surrogate.
        raise ManifestError(f"the manifest is not a JSON document: {one_line(error)}") from error
