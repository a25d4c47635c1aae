"""Layers that TensorRT-RTX builds from a graph.

Its engine inspector needs a GPU, but its log of a build has the same description of each layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from onnx import ModelProto

from export.plan import targets
from export.plan.builder import fixed_profile

GENERATED = "kgen"
"""Type of the layers without matrix products, which round, scale, add and move."""


@dataclass(frozen=True)
class Layer:
    """A layer of an engine: its type, the type of its first input, and its nodes in the graph."""

    kind: str
    reads: str
    nodes: frozenset[str]


def build_layers(model: ModelProto, rows: int = 8) -> list[Layer]:
    """Build a plan for one number of rows and return its layers."""
    trt = targets.choose("tensorrt-rtx").module
    lines: list[str] = []

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()

        def log(self, level: object, text: str) -> None:
            lines.extend(text.splitlines())

    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model.SerializeToString()), lines[-3:]
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.add_optimization_profile(fixed_profile(builder, network, rows))
    assert builder.build_serialized_network(network, config) is not None, lines[-3:]
    return [layer for line in lines if (layer := _parse(line))]


def _parse(line: str) -> Layer | None:
    match = re.match(r"Name: .*?, LayerType: (\w+), Inputs: \[(.*?)(Constants|Outputs): ", line)
    if match is None:
        return None
    reads = re.search(r"Datatype: (\w+)", match[2])
    nodes = re.findall(r"\[ONNX Layer: ([^\]]+)\]", line)
    return Layer(match[1], reads[1] if reads else "", frozenset(nodes))


def products_of_type(kind: str, layers: list[Layer]) -> set[str]:
    """Return the nodes of the layers that multiply numbers of that type."""
    matches = [layer for layer in layers if layer.kind != GENERATED and layer.reads == kind]
    return {node for layer in matches for node in layer.nodes}
