"""Graphs that draw their noise themselves, by the plugins in `libzoo_plugins.so`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from export.errors import ExportError
from export.plan import rtx_parser
from export.plan.graph import noise_input, noise_widths
from export.plan.targets import TensorRT
from runtime.errors import BackendUnavailableError
from runtime.ops import plugin_library

OPERATOR, VERSION, NAMESPACE = "ReparametrizedSample", "1", ""
"""What identifies the plugin of the noise operator (csrc/plugins/plugin.h)."""

KEYS = ("seed", "first")
"""Inputs of a plan that draws its noise: the seed of each image, and its index in the run."""

_SCALES = ("truncation", "noise")
"""Inputs with one value for all rows, which a server cannot batch."""


def register(tensorrt: TensorRT) -> None:
    """Load the plugins into TensorRT's registry. Raises ExportError."""
    if tensorrt.portable and not rtx_parser.parses_plugins():
        raise ExportError(
            f"--plugins: {tensorrt.title} was loaded by other code of this process, and its ONNX "
            f"parser would not find {rtx_parser.LIBRARY}: export in a process of its own, or link "
            "this name in a folder of LD_LIBRARY_PATH"
        )
    registry = tensorrt.module.get_plugin_registry()
    if registry.get_creator(OPERATOR, VERSION, NAMESPACE) is not None:
        return
    library = _library()
    registry.load_library(str(library))
    if registry.get_creator(OPERATOR, VERSION, NAMESPACE) is None:
        raise ExportError(
            f"--plugins: {tensorrt.title} cannot load {library}: {tensorrt.log.first_error()}"
        )


def _library() -> Path:
    try:
        return plugin_library()
    except BackendUnavailableError as error:
        raise ExportError(f"--plugins: {error}") from error


def check(name: str, source: dict[str, Any]) -> None:
    """Raise ExportError unless an engine draws noise.

    Args:
        name: of the engine file, for messages.
        source: its manifest.
    """
    if not noise_widths(source):
        raise ExportError(f"--plugins: {name} draws no noise; export it without")
    if (source.get("latent") or {}).get("prior") == "none":
        raise ExportError(f"--plugins: {name} has no prior to draw latents from")


def draw_noise(model: ModelProto, source: dict[str, Any]) -> None:
    """Replace the noise inputs of a prepared graph by plugin nodes.

    The new inputs are `seed` and `first`, int64 [N]: row r is sample first[r] of seed[r]. They
    have one value for each row, so that a server can put rows of any requests together. Scales of
    style-based generators become constants, 1.

    Args:
        model: from `graph.prepare` or one of the passes that follow it.
        source: manifest of the engine.
    """
    graph = model.graph
    inputs = {value.name: value for value in graph.input}
    rows = next(value for name, value in inputs.items() if name not in _SCALES)
    batch = rows.type.tensor_type.shape.dim[0].dim_param
    nodes = [helper.make_node("Shape", ["seed"], ["plugins.rows"], "plugins.rows")]
    for stream, width in sorted(noise_widths(source).items()):
        name = noise_input(stream)
        graph.input.remove(inputs[name])
        nodes += _draw(stream, width, name)
        graph.value_info.append(inputs[name])
        graph.initializer.append(numpy_helper.from_array(np.array([width]), f"{name}.width"))
    for name in _SCALES:
        if name in inputs:
            graph.input.remove(inputs[name])
            graph.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), name))
    zero = np.zeros((1, 1), np.float32)
    graph.initializer.append(numpy_helper.from_array(zero, "plugins.zero"))
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    keys = [helper.make_tensor_value_info(key, TensorProto.INT64, [batch]) for key in KEYS]
    others = list(graph.input)
    del graph.input[:]
    graph.input.extend([*keys, *others])


def _draw(stream: int, width: int, name: str) -> list[NodeProto]:
    """Return the nodes that compute a noise input: μ = log σ² = 0, [N, width], and the plugin."""
    shape, zeros = f"{name}.shape", f"{name}.zeros"
    plugin = helper.make_node(
        OPERATOR,
        [zeros, zeros, *KEYS],
        [name],
        f"draw.{name}",
        stream=stream,
        output_type=0,
        # What the parser searches its registry for.
        plugin_version=VERSION,
        plugin_namespace=NAMESPACE,
    )
    return [
        helper.make_node("Concat", ["plugins.rows", f"{name}.width"], [shape], shape, axis=0),
        helper.make_node("Expand", ["plugins.zero", shape], [zeros], zeros),
        plugin,
    ]
