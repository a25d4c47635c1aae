"""Graphs with plugin nodes for ONNX Runtime, which has no TensorRT plugins."""

from __future__ import annotations

from onnx import ModelProto, helper

from export.plan import plugins


def use_custom_operators(model: ModelProto) -> None:
    """Replace plugin nodes by the operators that this project has for ONNX Runtime."""
    for node in model.graph.node:
        if node.op_type == plugins.OPERATOR:
            (stream,) = (each.i for each in node.attribute if each.name == "stream")
            del node.attribute[:]
            node.domain = "zoo"
            node.attribute.append(helper.make_attribute("stream", stream))
    model.opset_import.append(helper.make_opsetid("zoo", 1))
