"""The numbers of csrc/cmake/ZooInterfaces.cmake, computed once more."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from repository import CSRC

ROOTS = {
    "kCudaInterface": "ops/cuda_ops.cu",
    "kOpenVinoInterface": "backends/openvino/openvino_backend.cc",
    "kTensorRtInterface": "backends/tensorrt/tensorrt_engine.cc",
}
"""Of each library that libzoo opens, the file that answers for it."""


def find(csrc: Path, header: str) -> Path:
    """A file by the name that it is included by."""
    return next(path for path in (csrc / header, csrc / "include" / header) if path.is_file())


def headers(root: str, csrc: Path = CSRC) -> set[str]:
    """All headers of ours that a file includes, directly or not."""
    result: set[str] = set()
    waiting = [root]
    while waiting:
        text = find(csrc, waiting.pop()).read_text()
        new = set(re.findall(r'^#include "([^"]+)"', text, re.MULTILINE))
        waiting += new - result - {"zoo_interfaces.h"}
        result |= new - {"zoo_interfaces.h"}
    return result


def number(root: str, csrc: Path = CSRC) -> int:
    """Return the interface number expected in that file's library and in libzoo."""
    lines = [
        f"{header} {hashlib.sha256(find(csrc, header).read_bytes()).hexdigest()}\n"
        for header in sorted(headers(root, csrc))
    ]
    return int(hashlib.sha256("".join(lines).encode()).hexdigest()[:15], 16)


def write_header(folder: Path) -> None:
    """zoo_interfaces.h, as the build writes it."""
    values = "".join(
        f"constexpr uint64_t {name} = {number(root)};\n" for name, root in ROOTS.items()
    )
    text = f"#pragma once\n#include <cstdint>\nnamespace zoo {{\n{values}}}  // namespace zoo\n"
    (folder / "zoo_interfaces.h").write_text(text)
