"""`config.pbtxt`: the configuration of a model, in Protocol Buffers' text format."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    kind = "KIND_GPU" if plan else "KIND_CPU"
    fields = describe_python(path.stem, layout.inputs, [layout.output], parameters, sizes, kind)
    return fields | {"max_batch_size": most}


def describe_python(
    name: str,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    parameters: Mapping[str, str],
    sizes: Sequence[int],
    kind: str,
) -> dict[str, Any]:
    """Return the fields of a model that `model.py` runs.

    Args:
        name: of the model.
        inputs: its tensors.
        outputs: its results.
        parameters: those of `model.py`.
        sizes: rows of the runs before it is ready; the largest is that of a request, too.
        kind: of the instance, KIND_CPU or KIND_GPU.
    """
    required = {spec.name: describe_tensor(spec) for spec in inputs if not spec.optional}
    return {
        "name": name,
        "backend": "python",
        "max_batch_size": max(sizes),
        "input": [
            {**describe_tensor(spec), **({"optional": True} if spec.optional else {})}
            for spec in inputs
        ],
        "output": [describe_tensor(spec) for spec in outputs],
        "dynamic_batching": describe_batching(),
        "instance_group": [{"count": 1, "kind": Enum(kind)}],
        "parameters": [
            {"key": key, "value": {"string_value": value}} for key, value in parameters.items()
        ],
        "model_warmup": [describe_warmup(required, rows) for rows in sizes],
    }


def describe_batching() -> dict[str, Any]:
    """Return the field `dynamic_batching`: no delay, and a limit of the queue."""
    return {
        "max_queue_delay_microseconds": 0,
        "default_queue_policy": {
            "timeout_action": Enum("REJECT"),
            "allow_timeout_override": True,
            "max_queue_size": QUEUE,
        },
    }


def describe_tensor(spec: TensorSpec) -> dict[str, Any]:
    """Return a tensor without its rows, whose largest number is max_batch_size."""
    return {
        "name": spec.name,
        "data_type": Enum(f"TYPE_{spec.datatype}"),
        "dims": list(spec.shape[1:]),
    }


def describe_warmup(inputs: Mapping[str, Mapping[str, Any]], rows: int) -> dict[str, Any]:
    """Return a run of zeros; inputs are the tensors by their names."""
    return {
        "name": f"rows: {rows}",
        "batch_size": rows,
        "inputs": [
            {
                "key": name,
                "value": {
                    "data_type": tensor["data_type"],
                    "dims": tensor["dims"],
                    "zero_data": True,
                },
            }
            for name, tensor in inputs.items()
        ],
    }


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
