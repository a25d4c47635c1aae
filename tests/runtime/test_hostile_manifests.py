"""Manifests made to harm: nested without end, sizes that wrap, pieces that overlap."""

from __future__ import annotations

import copy
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

import runtime
from changed_engines import changed, manifest_of
from runtime.errors import EngineFileError, ManifestError
from shell import refuses
from zoo.engines import WEIGHTS

PLAN: dict[str, Any] = {
    "schema": 2,
    "model": "toy",
    "role": "generator",
    "image": {
        "height": 6,
        "width": 5,
        "channels": 1,
        "dtype": "uint8",
        "layout": "NHWC",
        "range": [0, 255],
    },
    "latent": {"width": 8, "prior": "normal"},
    "condition": {"kind": "classes", "count": 3},
    "truncation": {"width": 2, "layers": 4, "mean": [0, 0]},
    "noise": {
        "algorithm": "philox4x32-10",
        "transform": "box-muller",
        "streams": {"latent": 2, "layers": [{"stream": 5, "width": 12}]},
    },
    "precision": "fp32",
    "batch": {"min": 1, "max": 16},
    "versions": {"zoo": "0"},
    "plan": {
        "target": "tensorrt",
        "tensorrt": "10.1",
        "buckets": [1, 4, 16],
        "fp32_layers": [],
        "inputs": [
            {"name": "latent", "dtype": "float32", "shape": ["N", 8]},
            {"name": "label", "dtype": "int64", "shape": ["N"]},
            {"name": "truncation", "dtype": "float32", "shape": [1]},
            {"name": "noise", "dtype": "float32", "shape": [1]},
            {"name": "noise.5", "dtype": "float32", "shape": ["N", 12]},
        ],
        "outputs": [{"name": "image", "dtype": "uint8", "shape": ["N", 6, 5, 1]}],
    },
}


def plan_with(*path: Any) -> dict[str, Any]:
    """The plan's manifest with one value changed: the keys that lead to it, then the value."""
    *keys, last, value = path
    document = copy.deepcopy(PLAN)
    place: Any = document
    for key in keys:
        place = place[key]
    place[last] = value
    return document


IMAGE = ("plan", "outputs", 0)
LATENT = ("plan", "inputs", 0)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (plan_with(*IMAGE, "shape", ["N", 600, 500, 1]), "plan.outputs"),
        (plan_with(*IMAGE, "shape", ["N", 2**32, 2**32, 4]), "plan.outputs[0].shape"),
        (plan_with(*IMAGE, "shape", ["N", 2**31 - 1, 2**31 - 1, 2**31 - 1]), "plan.outputs[0]"),
        (plan_with(*IMAGE, "shape", [1, 6, 5, 1]), "plan.outputs"),
        (plan_with(*IMAGE, "shape", ["N", 30]), "plan.outputs"),
        (plan_with(*IMAGE, "dtype", "float32"), "plan.outputs"),
        (plan_with(*IMAGE, "name", "picture"), "plan.outputs"),
        (plan_with("plan", "outputs", PLAN["plan"]["outputs"] * 2), "plan.outputs"),
        (plan_with(*LATENT, "shape", ["N", 1 << 20]), "plan.inputs"),
        (plan_with(*LATENT, "shape", [16, 8]), "plan.inputs"),
        (plan_with("latent", "width", 1 << 20), "plan.inputs"),
        (plan_with("plan", "inputs", 1, "shape", ["N", 2]), "plan.inputs"),
        (plan_with("plan", "inputs", 1, "dtype", "uint8"), "plan.inputs"),
        (plan_with("plan", "inputs", 2, "shape", ["N"]), "plan.inputs"),
        (plan_with("plan", "inputs", 4, "shape", ["N", 13]), "plan.inputs"),
        (plan_with("plan", "inputs", 4, "name", "noise.6"), "plan.inputs"),
        (plan_with("plan", "inputs", 4, "name", "latent"), "plan.inputs"),
        (plan_with("plan", "inputs", PLAN["plan"]["inputs"][:-1]), "plan.inputs"),
        (plan_with("noise", "streams", "layers", 0, "width", 11), "plan.inputs"),
        (plan_with("plan", "buckets", [1, 2**63]), "plan.buckets"),
        (plan_with("plan", "buckets", [1, 17]), "plan.buckets"),
        (plan_with("plan", "buckets", [16, 1]), "plan.buckets"),
        (plan_with("plan", "buckets", [0]), "plan.buckets"),
        (plan_with("plan", "buckets", []), "plan.buckets"),
        (plan_with("plan", "target", "abacus"), "plan.target"),
        (plan_with("plan", "fp32_layers", 1), "plan.fp32_layers"),
        (plan_with("plan", "inputs", None), "plan.inputs"),
        (plan_with(*IMAGE, "shape", ["N", -2]), "plan.outputs[0].shape"),
        (plan_with("image", "height", 7), "plan.outputs"),
    ],
)
def test_plans_of_other_sizes(document: dict[str, Any], field: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(f"manifest field '{field}")):
        runtime.manifest.validate(document)


def test_the_plan_itself() -> None:
    assert runtime.manifest.validate(PLAN) == PLAN
    more = {"name": "features", "dtype": "float32", "shape": ["N", 3]}
    runtime.manifest.validate(plan_with("plan", "outputs", [*PLAN["plan"]["outputs"], more]))


def test_sizes_that_wrap_together() -> None:
    """Each output fits into 64 bits, all of them do not."""
    more = [
        {"name": f"more.{i}", "dtype": "uint8", "shape": ["N", 2**31 - 1, 2**29]} for i in range(20)
    ]
    document = plan_with("plan", "outputs", [*PLAN["plan"]["outputs"], *more])
    with pytest.raises(ManifestError, match=r"'batch\.max': expected runs that fit in memory"):
        runtime.manifest.validate(document)


def nest(where: str, depth: int) -> str:
    deep = "[" * depth + "]" * depth
    document = runtime.manifest.read(WEIGHTS / "linear-ae.onnx")
    if where == "range":
        document["image"]["range"] = "HERE"
    else:
        document[where] = "HERE"
    return json.dumps(document).replace('"HERE"', deep)


@pytest.mark.parametrize("where", ["schema", "range", "unknown"])
@pytest.mark.parametrize("depth", [65, 1000, 1_000_000])
def test_nested_json(where: str, depth: int, tmp_path: Path) -> None:
    """In C++, in Python, and in a thread, whose stack is small."""
    text = nest(where, depth)
    with pytest.raises(ManifestError, match="nested deeper than 64"):
        runtime.manifest.validate(text)
    model = onnx.load(WEIGHTS / "linear-ae.onnx")
    manifest_of(model).value = text
    path = tmp_path / "deep.onnx"
    onnx.save(model, path)
    for call in (runtime.manifest.read, runtime.manifest.verify, runtime.Generator):
        with pytest.raises(ManifestError, match=r"deep\.onnx.*nested deeper than 64"):
            call(path)


def test_nested_objects_of_python() -> None:
    document: dict[str, Any] = {}
    for _ in range(100_000):
        document = {"x": document}
    with pytest.raises(ManifestError, match="not a JSON document"):
        runtime.manifest.validate(document)
    document["x"] = document
    with pytest.raises(ManifestError, match="not a JSON document"):
        runtime.manifest.validate(document)
    with pytest.raises(ManifestError, match="not a JSON document"):
        runtime.manifest.validate({"schema": object()})


def test_brackets_in_texts_do_not_nest() -> None:
    document = runtime.manifest.read(WEIGHTS / "linear-ae.onnx")
    runtime.manifest.validate(document | {"classes": ['[{\\"' * 100]})


def test_inspect_refuses_them(tmp_path: Path) -> None:
    path = changed("linear-ae.onnx", tmp_path, lambda document: document.update(x="HERE"))
    content = path.read_bytes()
    model = onnx.load_from_string(content)
    manifest_of(model).value = manifest_of(model).value.replace('"HERE"', "[" * 2000 + "]" * 2000)
    path.write_bytes(model.SerializeToString())
    for arguments in (("inspect", path), ("inspect", path, "--json")):
        assert "nested deeper" in refuses(*map(str, arguments), cwd=tmp_path)


def test_very_long_manifests() -> None:
    document = runtime.manifest.read(WEIGHTS / "linear-ae.onnx")
    with pytest.raises(ManifestError, match="bytes long, expected at most 16777216"):
        runtime.manifest.validate(document | {"filling": "x" * (1 << 24)})


def plan_of(body: bytes) -> bytes:
    return b"ftrt\0\0\0\0" + struct.pack("<QQ", 2, 24 + len(body)) + body


MEASURED = r"""
import pathlib, re, sys, runtime
try:
    runtime.manifest.read(sys.argv[1])
except runtime.errors.EngineFileError as error:
    status = pathlib.Path("/proc/self/status").read_text()
    print(re.search(r"VmHWM:\s+(\d+)", status)[1], error)
"""


def test_pieces_that_overlap(tmp_path: Path) -> None:
    """Each says that its text goes on to the end of the file, over all that follow."""
    count, each = 20_000, 50
    end = 64 + count * each
    body = bytearray(40)
    for index in range(count):
        rest = end - len(body) - each
        body += f"zoo.manifest[{index}/{count},{rest}]:".encode().ljust(each, b"x")
    body += b"x" * 1000
    (tmp_path / "a.plan").write_bytes(plan_of(bytes(body)))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, tmp_path / "a.plan"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kilobytes, output = done.stdout.split(" ", 1)
    assert "a part of its manifest is missing" in output
    assert int(kilobytes) < 300_000, "as much as 10 GB where they are put together"


def test_pieces_in_any_order(tmp_path: Path) -> None:
    """Pieces may be repeated, and stand between texts that look like their beginnings."""
    text = json.dumps(PLAN).encode()
    first, second = (
        b"zoo.manifest[%d/2,%d]:%s" % (index, len(part), part)
        for index, part in enumerate((text[:400], text[400:]))
    )
    (tmp_path / "a.plan").write_bytes(
        plan_of(b"zoo.manifest[x" + second + b"\x1e" + first + b"zoo.manifest[1/2,9" + second)
    )
    assert runtime.manifest.read(tmp_path / "a.plan") == PLAN


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"zoo.manifest[0/18446744073709551615,3]:abc", "a part of its manifest is missing"),
        (b"zoo.manifest[0/2,3]:abczoo.manifest[1/2,99999]:abc", "a part of its manifest"),
        (b"zoo.manifest[0/1,30]:" + b"x" * 40, "not valid JSON"),
        (b"zoo.manifest[2/2,1]:{", "no zoo.manifest"),
        (b"zoo.manifest[0/1,99999999999999999999]:{", "no zoo.manifest"),
        (b"zoo.manifest[0/1,999999]:{", "no zoo.manifest"),
        (b"zoo.manifest:7", "no zoo.manifest"),
        (b"zoo.manifest:{]}", "not valid JSON"),
        (b"zoo.manifest:{" + b"[" * 1_000_000 + b"}", "nested deeper"),
    ],
)
def test_pieces_that_lie(body: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.plan").write_bytes(plan_of(bytes(40) + body + bytes(40)))
    with pytest.raises(EngineFileError, match=problem):
        runtime.manifest.read(tmp_path / "a.plan")
