"""The manifest: the JSON document inside an engine file that says what it is."""

import json
import os
from typing import Any

from runtime._arguments import line
from runtime._arguments import path as _path
from runtime._library import native
from runtime.errors import ManifestError

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
    document: dict[str, Any] = json.loads(native.read_manifest(os.fsencode(_path("path", path))))
    return document


def verify(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The manifest of an engine file whose graph is checked too, as it is before it runs.

    The graph is whole and is what the manifest says, and the file has the digest that stands in its
    manifest, `file_blake2b`, if it has one. Raises what `read` raises, and EngineFileError.
    """
    document: dict[str, Any] = json.loads(
        native.read_checked_manifest(os.fsencode(_path("path", path)))
    )
    return document


def validate(document: dict[str, Any] | str) -> dict[str, Any]:
    """The document as a dict if it is a valid manifest.

    Raises ManifestError naming the field, or SchemaVersionError naming both versions.
    """
    text, encoded = _text(document)
    native.check_manifest(encoded)
    checked: dict[str, Any] = json.loads(text)
    return checked


def _text(document: dict[str, Any] | str) -> tuple[str, bytes]:
    try:
        text = document if isinstance(document, str) else json.dumps(document)
        return text, text.encode()
    except (RecursionError, TypeError, ValueError) as error:
        # Nested too deep, within itself, of what JSON has not, or of half a character.
        raise ManifestError(f"the manifest is no JSON document: {line(error)}") from error
