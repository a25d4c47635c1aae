"""Text descriptions of engine files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime import manifest
from runtime.errors import EngineFileError
from zoo.engines import resolve
from zoo.inference.layers import inspect_layers as inspect_layers
from zoo.plans import read_checks

SIDES = ("inputs", "outputs")

LONGEST_TEXT = 400
"""Greatest number of characters of a text without spaces; binary data is longer."""


def inspect_engine(file: str, as_json: bool = False) -> str:
    """Describe the manifest and the tensors of an engine file, a path or a shipped name.

    `as_json` returns the manifest as JSON. Raises the errors of zoo.engines.resolve and of
    runtime.manifest.read.
    """
    path = resolve(file)
    document = manifest.read(path)
    if "plan" in document and (checks := read_checks(path, document)):
        document["plan"]["checks"] = checks
    if as_json:
        return json.dumps(document, indent=2, ensure_ascii=False)
    size = path.stat().st_size
    plan = document.get("plan")
    ends = describe_plan_tensors(plan) if plan else describe_tensors(path)
    if plan:
        document["plan"] = {name: plan[name] for name in plan if name not in SIDES}
    return "\n".join([f"{path}  ({size:,} bytes)", *describe(document), *ends])


def describe(document: dict[str, Any], indent: str = "") -> list[str]:
    """Format a manifest as lines: one per field, with nested objects indented."""
    lines = []
    names = max((len(name) for name in document), default=0)
    for name, value in document.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{name}")
            lines += describe(value, indent + "  ")
        else:
            lines.append(f"{indent}{name:<{names}}  {_format(value)}")
    return lines


def _format(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_format(item) for item in value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name} {_format(entry)}" for name, entry in value.items()) or "none"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if len(text) > LONGEST_TEXT and " " not in text:
        return f"{len(text):,} characters of binary data (--json prints them)"
    return text


def describe_tensors(path: Path) -> list[str]:
    """Describe the graph's inputs and outputs as ONNX Runtime sees them; [] if it cannot load.

    For a file that is unsafe to load, returns a line with the reason.
    """
    import onnxruntime

    try:
        manifest.verify(path)
    except EngineFileError as error:
        return [f"unusable  {error}"]
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), settings, providers=["CPUExecutionProvider"]
        )
    except Exception:  # onnxruntime raises types of its own; the manifest suffices
        return []
    lines = []
    for heading, nodes in zip(SIDES, (session.get_inputs(), session.get_outputs()), strict=True):
        lines.append(heading)
        for node in nodes:
            lines.append(_format_tensor(node.name, node.type[len("tensor(") : -1], node.shape))
    return lines


def describe_plan_tensors(plan: dict[str, Any]) -> list[str]:
    """Describe the inputs and outputs of a plan, from its manifest."""
    lines = []
    for heading in SIDES:
        lines.append(heading)
        lines += [_format_tensor(**tensor) for tensor in plan[heading]]
    return lines


def _format_tensor(name: str, dtype: str, shape: list[Any]) -> str:
    return f"  {name}  {dtype} [{', '.join(map(str, shape))}]"
