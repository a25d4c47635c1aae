"""The manifest in a plan: where TensorRT keeps text of ours as it is."""

from __future__ import annotations

from typing import Any

from export.errors import ExportError
from runtime import manifest

MARKER = f"{manifest.KEY}:"
"""Before a manifest that stands in one piece; csrc/format/plan_file.cc looks for it."""

LONGEST = 4095
"""Characters of any name that TensorRT takes: "limit 4096", its end included."""

_PIECE = 4050

_LASTING = frozenset(
    "ACTIVATION CONVOLUTION DECONVOLUTION MATRIX_MULTIPLY NORMALIZATION SHUFFLE SLICE SOFTMAX "
    "UNARY UNSQUEEZE".split()
)
"""Kinds of layers whose metadata TensorRT-RTX has kept in every plan; others may be folded away."""

_OF_THE_PARSER = "ONNXTRT_"
"""Begins the names of layers that compute shapes, which are folded first."""


def pieces(text: str) -> list[str]:
    """A manifest as the texts to put into a plan, each with a mark that the reader finds it by.

    One, `zoo.manifest:{…}`, where it fits a name; else several, `zoo.manifest[<index>/<count>,
    <length>]:…` without the blank.
    """
    if len(MARKER + text) <= LONGEST:
        return [MARKER + text]
    parts = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    return [
        f"{manifest.KEY}[{index}/{len(parts)},{len(part)}]:{part}"
        for index, part in enumerate(parts)
    ]


def put(network: Any, text: str) -> bool:
    """Put a manifest into a network: into its name, and what is left into its layers' metadata.

    TensorRT keeps those of layers that it fuses, too. Whether all came to stand in a plan is seen
    when it is read again.

    Returns:
        Whether layers hold a part of it.

    Raises:
        ExportError: it needs more layers than there are, or TensorRT does not take it.
    """
    first, *more = pieces(text)
    network.name = first
    taken = network.name == first
    if more:
        layers = sorted(map(network.get_layer, range(network.num_layers)), key=_foldable)
        if len(layers) < len(more) or not hasattr(layers[0], "metadata"):
            raise ExportError(
                f"the manifest of {len(text):,} characters needs {len(more)} layers to stand in; "
                f"the network has {len(layers)}"
            )
        # The parser has put the node's name there, which the layer has for its own name too.
        for layer, piece in zip(layers, more, strict=False):
            layer.metadata = piece
            taken = taken and layer.metadata == piece
    if not taken:
        raise ExportError(f"TensorRT does not take the manifest of {len(text):,} characters")
    return bool(more)


def _foldable(layer: Any) -> int:
    """The greater, the likelier a layer is folded away with its metadata."""
    if layer.type.name in _LASTING:
        return 0
    return 2 if layer.name.startswith(_OF_THE_PARSER) else 1
