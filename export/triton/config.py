"""`config.pbtxt`: the configuration of a model, in Protocol Buffers' text format."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.serving.kserve.layouts import Layout
from zoo.serving.kserve.tensors import TensorSpec

MOST_ROWS = 256
"""Rows of the largest request and run of a model on CPUs, whose speed does not grow with them."""

WARMUP_ROWS = (1, 16)
"""Rows of the runs on CPUs before a model is ready; those of plans are their batch sizes."""

QUEUE = 4096
"""Requests that wait at most; further ones are refused."""


class Enum(str):
    """A value that is written without quotes."""


def describe(
    path: Path, manifest: Mapping[str, Any], layout: Layout, precision: str
) -> dict[str, Any]:
    """Return the fields of inference.ModelConfig for an engine.

    Args:
        path: of the engine file; the model is named after it.
        manifest: of the engine.
        layout: its tensors.
        precision: of an .onnx engine; "fp32" for a plan, which has one of its own.
    """
    plan = manifest.get("plan")
    sizes = plan["buckets"] if plan else WARMUP_ROWS
    most = max(sizes) if plan else MOST_ROWS
    parameters = {
        "engine": path.name,
        "engine_class": layout.engine,
        "options": " ".join(layout.options),
        "backend": "auto",
        "precision": precision,
        # 0: as many as there are cores, or two on a GPU.
        "instances": "0",
    }
    return {
        "name": path.stem,
        "backend": "python",
        "max_batch_size": most,
        "input": [
            {**_describe_tensor(spec), **({"optional": True} if spec.optional else {})}
            for spec in layout.inputs
        ],
        "output": [_describe_tensor(layout.output)],
        "dynamic_batching": {
            "max_queue_delay_microseconds": 0,
            "default_queue_policy": {
                "timeout_action": Enum("REJECT"),
                "allow_timeout_override": True,
                "max_queue_size": QUEUE,
            },
        },
        "instance_group": [{"count": 1, "kind": Enum("KIND_GPU" if plan else "KIND_CPU")}],
        "parameters": [
            {"key": key, "value": {"string_value": value}} for key, value in parameters.items()
        ],
        "model_warmup": [_describe_warmup(layout, rows) for rows in sizes],
    }


def _describe_tensor(spec: TensorSpec) -> dict[str, Any]:
    # Without the rows, whose largest number is max_batch_size.
    return {"name": spec.name, "data_type": _type(spec), "dims": list(spec.shape[1:])}


def _describe_warmup(layout: Layout, rows: int) -> dict[str, Any]:
    return {
        "name": f"rows: {rows}",
        "batch_size": rows,
        "inputs": [
            {
                "key": spec.name,
                "value": {
                    "data_type": _type(spec),
                    "dims": list(spec.shape[1:]),
                    "zero_data": True,
                },
            }
            for spec in layout.inputs
            if not spec.optional
        ],
    }


def _type(spec: TensorSpec) -> Enum:
    return Enum(f"TYPE_{spec.datatype}")


def render(fields: Mapping[str, Any], indent: str = "") -> str:
    """Return fields in the text format: a mapping is a message, a list of them is repeated."""
    lines = []
    for name, value in fields.items():
        messages = value if isinstance(value, list) else [value]
        if not messages or not isinstance(messages[0], Mapping):
            lines.append(f"{indent}{name}: {_render_value(value)}\n")
            continue
        for message in messages:
            lines.append(f"{indent}{name} {{\n{render(message, f'{indent}  ')}{indent}}}\n")
    return "".join(lines)


def _render_value(value: Any) -> str:
    return str(value) if isinstance(value, Enum) else json.dumps(value, ensure_ascii=False)
