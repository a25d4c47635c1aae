"""Description of the machine of a measurement."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("generator-zoo", "numpy", "onnxruntime", "openvino", "torch")

VENDORS = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}
INSTRUCTION_SETS = {
    "amx_bf16": "amx",
    "avx512_bf16": "avx512-bf16",
    "avx512f": "avx512",
    "avx2": "avx2",
    "sve": "sve",
    "asimd": "neon",
}
"""Flags of a CPU and the names of their instruction sets, the best first."""


def describe(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Return CPU model and kind, usable cores, memory in GiB, versions of installed packages."""
    info: dict[str, Any] = {
        "cpu": _first_value("/proc/cpuinfo", "model name") or platform.processor(),
        "kind": kind(),
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


def kind(cpuinfo: str = "/proc/cpuinfo") -> str:
    """Return the vendor and the best instruction set of the CPU: "amd-avx512-bf16", "intel-amx".

    cpuinfo: a file in the format of Linux.
    """
    vendor = _first_value(cpuinfo, "vendor_id")
    flags = set(_first_value(cpuinfo, "flags").split())
    if not vendor and _first_value(cpuinfo, "CPU implementer"):
        vendor, flags = "arm", set(_first_value(cpuinfo, "Features").split())
    best = next((name for flag, name in INSTRUCTION_SETS.items() if flag in flags), "generic")
    return f"{VENDORS.get(vendor, vendor.lower()) or platform.machine()}-{best}"


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
