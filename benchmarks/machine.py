"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("generator-zoo", "numpy", "onnxruntime", "openvino", "torch")


def describe(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return CPU model, usable cores, memory in GiB, and versions of the installed packages."""
    info: dict[str, Any] = {
        "cpu": _first_value("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(_memory_kib() / 2**20, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "isa": sorted(_isa()),
        "packages": {},
    }
    for name in packages:
        try:
            info["packages"][name] = version(name)
        except PackageNotFoundError:
            continue
    return info


def _first_value(path: str, key: str) -> str:
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""


def _memory_kib() -> int:
    return int((_first_value("/proc/meminfo", "MemTotal") or "0 kB").split()[0])


def _isa() -> set[str]:
    known = {"avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8", "fma"}
    return known & set(_first_value("/proc/cpuinfo", "flags").split())
