"""The manifest: the JSON document inside an engine file that says what it is."""

import json
import os
from typing import Any

from runtime._library import native

SCHEMA: int = native.MANIFEST_SCHEMA
"""Newest schema that this runtime reads."""

KEY: str = native.MANIFEST_KEY
"""Where the manifest stands in an ONNX file's `metadata_props`; marks it in a plan."""


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest of an engine file, validated; the graph is not loaded.

    That of a TensorRT plan is read without TensorRT and without a GPU.
    Raises EngineNotFoundError, EngineFileError (empty, truncated, neither ONNX nor
    a plan), NotAnEngineError, ManifestError and SchemaVersionError.
    """
    document: dict[str, Any] = json.loads(native.read_manifest(os.fspath(path)))
    return document


def validate(document: dict[str, Any] | str) -> dict[str, Any]:
    """The document as a dict if it is a valid manifest.

    Raises ManifestError naming the field, or SchemaVersionError naming both versions.
    """
    text = document if isinstance(document, str) else json.dumps(document)
    native.check_manifest(text)
    checked: dict[str, Any] = json.loads(text)
    return checked
