"""A libonnxruntime.so with a CUDA provider on emulated devices (csrc/tests/host_onnxruntime.h).

`build` compiles it. The environment variables that `variables` returns put it in the place of the
real library, which it calls; they must be set before the runtime first opens ONNX Runtime.
`HostOnnxRuntime` is the same library from Python.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from repository import CSRC

PARTS = ("host_onnxruntime.cc", "host_onnxruntime_ops.cc")

_PROJECT = """
cmake_minimum_required(VERSION 3.22)
project(host_onnxruntime CXX)
include("{csrc}/cmake/OnnxRuntimeHeaders.cmake")
include("{csrc}/cmake/ZooInterfaces.cmake")
add_library(onnxruntime MODULE {sources})
target_compile_features(onnxruntime PRIVATE cxx_std_17)
target_include_directories(onnxruntime PRIVATE "{csrc}" "{csrc}/include"
  ${{ZOO_INTERFACES_INCLUDE}})
target_link_libraries(onnxruntime PRIVATE onnxruntime::headers ${{CMAKE_DL_LIBS}})
set_target_properties(onnxruntime PROPERTIES CXX_VISIBILITY_PRESET hidden)
"""


def real_library() -> Path:
    """Return the library of the installed ONNX Runtime."""
    spec = find_spec("onnxruntime")
    assert spec is not None and spec.origin is not None
    return next((Path(spec.origin).parent / "capi").glob("libonnxruntime.so*"))


def build(folder: Path) -> Path:
    """Compile the library into a folder, against the headers that the runtime is built with."""
    sources = " ".join(f'"{CSRC / "tests" / part}"' for part in PARTS)
    (folder / "CMakeLists.txt").write_text(_PROJECT.format(csrc=CSRC, sources=sources))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    cmake = shutil.which("cmake", path=path)
    assert cmake, "cmake is not installed"
    for arguments in (["-S", folder, "-B", folder], ["--build", folder]):
        done = subprocess.run(
            [cmake, *arguments],
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError((done.stdout + done.stderr)[-4000:])
    return folder / "libonnxruntime.so"


def environment(library: Path) -> dict[str, str]:
    """Return the environment variables that make the runtime use the library."""
    return {"ZOO_ONNXRUNTIME_LIBRARY": str(library), "HOST_ONNXRUNTIME": str(real_library())}


class HostOnnxRuntime:
    """The library, opened; the runtime that opens the same file has the same sessions."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        self._library.host_ort_counter.restype = ctypes.c_uint64
        self._library.host_ort_option.restype = ctypes.c_char_p
        self._library.host_ort_fail.restype = self._library.host_ort_reset.restype = None

    def fail(self, what: str, times: int, message: str) -> None:
        """Make the next calls of one kind fail."""
        self._library.host_ort_fail(what.encode(), ctypes.c_int(times), message.encode())

    def option(self, name: str) -> str | None:
        """Return an option of the provider in the newest session."""
        value = self._library.host_ort_option(name.encode())
        return None if value is None else str(value.decode())

    def counter(self, name: str) -> int:
        """Return one of the counters that csrc/tests/host_onnxruntime.h lists."""
        return int(self._library.host_ort_counter(name.encode()))

    def reset(self) -> None:
        """Set the counters to 0 and cancel the failures."""
        self._library.host_ort_reset()
