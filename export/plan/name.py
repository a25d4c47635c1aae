"""Storage of manifests in plans, in texts that TensorRT keeps unchanged."""

from __future__ import annotations

from typing import Any

from export.errors import ExportError
from runtime import manifest

MARKER = f"{manifest.KEY}:"
"""Prefix of a manifest in one piece, which csrc/format/plan_file.cc searches for."""

LONGEST = 4095
"""Greatest length of a name in TensorRT: "limit 4096" includes the terminator."""

_PIECE = 4050

_LASTING_KINDS = frozenset(
    "ACTIVATION CONVOLUTION DECONVOLUTION MATRIX_MULTIPLY NORMALIZATION SHUFFLE SLICE SOFTMAX "
    "UNARY UNSQUEEZE".split()
)
"""Kinds of layers whose metadata TensorRT-RTX always keeps; others may be folded away."""

_PARSER_PREFIX = "ONNXTRT_"
"""Prefix of the names of layers that compute shapes, which are folded first."""


def split_manifest(text: str) -> list[str]:
    """Split a manifest into texts for a plan, each with a prefix for the reader.

    A manifest that fits a name is one text, `zoo.manifest:{…}`; a longer one is split into
    `zoo.manifest[<index>/<count>,<length>]:…`.
    """
    if len(MARKER + text) <= LONGEST:
        return [MARKER + text]
    parts = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return [
        f"{manifest.KEY}[{index}/{len(parts)},{len(part)}]:{part}"
        for index, part in enumerate(parts)
    ]


def store_manifest(network: Any, text: str) -> bool:
    """Store a manifest in the name of a network, and the rest in the metadata of its layers.

    TensorRT also keeps the metadata of fused layers. Read the plan to verify that it is complete.

    Returns:
        True if layers hold a part of it.

    Raises:
        ExportError: the network has too few layers, or TensorRT refuses the text.
    """
    first, *more = split_manifest(text)
    network.name = first
    stored = network.name == first
    if more:
        layers = sorted(map(network.get_layer, range(network.num_layers)), key=_fold_likelihood)
        if len(layers) < len(more) or not hasattr(layers[0], "metadata"):
            raise ExportError(
                f"the manifest of {len(text):,} characters needs {len(more)} layers; the network "
                f"has {len(layers)}"
            )
        # This replaces the node's name, which is also the name of the layer.
        for layer, piece in zip(layers, more, strict=False):
            layer.metadata = piece
            stored = stored and layer.metadata == piece
    if not stored:
        raise ExportError(f"TensorRT refuses the manifest of {len(text):,} characters")
    return bool(more)


def _fold_likelihood(layer: Any) -> int:
    """Rank a layer by how likely it is folded away with its metadata."""
    if layer.type.name in _LASTING_KINDS:
        return 0
    return 2 if layer.name.startswith(_PARSER_PREFIX) else 1
