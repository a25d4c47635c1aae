"""What is in an engine file, as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runtime import manifest
from runtime.errors import EngineFileError
from zoo.engines import resolve
from zoo.plans import read_checks

ENDS = ("inputs", "outputs")


def inspect_engine(file: str, as_json: bool = False) -> str:
    """The manifest of an engine file, a path or a shipped name, and its tensors; or as JSON.

    Raises the errors of zoo.engines.resolve and of runtime.manifest.read.
    """
    path = resolve(file)
    document = manifest.read(path)
    if "plan" in document and (checks := read_checks(path, document)):
        document["plan"]["checks"] = checks
    if as_json:
        return json.dumps(document, indent=2, ensure_ascii=False)
    size = path.stat().st_size
    plan = document.get("plan")
    ends = tensors_of_plan(plan) if plan else tensors(path)
    if plan:
        document["plan"] = {name: plan[name] for name in plan if name not in ENDS}
    return "\n".join([f"{path}  ({size:,} bytes)", *describe(document), *ends])


def describe(document: dict[str, Any], indent: str = "") -> list[str]:
    """A manifest as readable lines: one a field, the fields of an object indented under it."""
    lines = []
    names = max((len(name) for name in document), default=0)
    for name, value in document.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{name}")
            lines += describe(value, indent + "  ")
        else:
            lines.append(f"{indent}{name:<{names}}  {_text(value)}")
    return lines


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name} {_text(entry)}" for name, entry in value.items()) or "none"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def tensors(path: Path) -> list[str]:
    """The graph's inputs and outputs, as ONNX Runtime sees them; none where it cannot load it.

    For a file that is not to be given to a library, a line that says why.
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
    except Exception:  # onnxruntime's own kinds; the manifest above is the answer then
        return []
    lines = []
    for heading, nodes in zip(ENDS, (session.get_inputs(), session.get_outputs()), strict=True):
        lines.append(heading)
        for node in nodes:
            lines.append(_tensor(node.name, node.type[len("tensor(") : -1], node.shape))
    return lines


def tensors_of_plan(plan: dict[str, Any]) -> list[str]:
    """What the network of a plan takes and gives, by its manifest."""
    lines = []
    for heading in ENDS:
        lines.append(heading)
        lines += [_tensor(**tensor) for tensor in plan[heading]]
    return lines


def _tensor(name: str, dtype: str, shape: list[Any]) -> str:
    return f"  {name}  {dtype} [{', '.join(map(str, shape))}]"
