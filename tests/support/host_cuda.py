"""CUDA devices in host memory (csrc/tests/host_cuda.h), for tests on machines without a GPU.

`build` compiles the library, and the environment variable ZOO_CUDA_LIBRARY, set before the runtime
first asks for a device, puts it in the place of the CUDA kernels. `HostCuda` is the same library
from Python.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import math
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import DTypeLike, NDArray

import interfaces
from repository import CSRC, ROOT

SOURCES = ("tests/host_cuda.cc", "ops/reparametrized_sample.cc", "ops/batched_interpolate.cc")
# The noise contract, as csrc/CMakeLists.txt has it.
EXACT = ("-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd")

_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def build() -> Path:
    """Compile the library with $CXX or c++, once for each state of csrc/."""
    compiler = os.environ.get("CXX") or "c++"
    options = ["-std=c++17", "-O2", "-shared", "-fPIC", "-pthread", "-fvisibility=hidden", *EXACT]
    text = hashlib.sha256(" ".join([compiler, *options]).encode())
    for source in sorted(CSRC.rglob("*.[hc]*")):
        text.update(str(source).encode() + source.read_bytes())
    folder = ROOT / "build" / "host_cuda" / text.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    library, unfinished = folder / "libzoo_cuda.so", folder / "unfinished.so"
    with FileLock(folder / "lock"):
        if library.exists():
            return library
        interfaces.write_header(folder)
        folders = [f"-I{CSRC}", f"-I{CSRC / 'include'}", f"-I{folder}"]
        sources = [str(CSRC / source) for source in SOURCES]
        command = [*compiler.split(), *options, *folders, *sources, "-o", str(unfinished)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-4000:]}")
        unfinished.rename(library)
    return library


class HostCudaError(RuntimeError):
    """Message of a function of the library that failed."""


class HostCuda:
    """The library, opened; the runtime that opens the same file has the same devices.

    Work in a stream may call Python, so that a thread that waits for one must not hold Python's
    lock; `call` does not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._library = ctypes.CDLL(str(path))
        self._library.host_cuda_error.restype = ctypes.c_char_p
        self._library.host_cuda_counter.restype = ctypes.c_uint64
        self._library.host_cuda_reset.restype = None
        self._library.host_cuda_fail.restype = None
        self._library.host_cuda_break.restype = None
        self._table = self._open_table()
        # Kept forever, since the lifetime of the graphs that call them is unknown here.
        self._calls: dict[int, Callable[[], object]] = {}
        self._keys = itertools.count(1)
        self._callback = _Callback(self._run)
        self.errors: list[BaseException] = []
        """Exceptions of the calls that were put into streams."""

    def _open_table(self) -> dict[str, Any]:
        """The functions of CudaOps by name, in the order in which the header declares them."""
        text = (CSRC / "ops" / "cuda_ops.h").read_text()
        names = re.findall(r"^  const char\* \(\*(\w+)\)\(", text, re.MULTILINE)
        assert names
        self._library.zoo_cuda_ops.restype = ctypes.POINTER(ctypes.c_void_p * len(names))
        table = self._library.zoo_cuda_ops(ctypes.c_uint64(interfaces.number("ops/cuda_ops.cu")))
        assert table, "the library was built from another version of the header"
        kind = ctypes.CFUNCTYPE(ctypes.c_char_p)
        return {name: kind(address) for name, address in zip(names, table.contents, strict=True)}

    def _run(self, key: int) -> None:
        try:
            self._calls[key]()
        except BaseException as error:
            # As when a kernel fails: whoever waits for the stream gets the error.
            self.errors.append(error)
            text = f"cudaErrorLaunchFailure: {type(error).__name__}: {error}"
            self._library.host_cuda_break(text.encode())

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the table; Python's integers are taken as 64 bits.

        Raises:
            HostCudaError: it failed, with its message.
        """
        words = [ctypes.c_uint64(x) if isinstance(x, int) else x for x in arguments]
        failure = self._table[function](*words)
        if failure is not None:
            raise HostCudaError(failure.decode())

    def set_device(self, index: int) -> None:
        """Make a device the current one of this thread, like cudaSetDevice."""
        if self._library.host_cuda_set_device(ctypes.c_int(index)):
            raise HostCudaError(self._library.host_cuda_error().decode())

    def current_device(self) -> int:
        """Return the current device of this thread, like cudaGetDevice."""
        return int(self._library.host_cuda_current_device())

    def make(self, function: str, *arguments: Any) -> int:
        """Call a function of the table whose last argument receives a handle; return the handle."""
        handle = ctypes.c_void_p()
        self.call(function, *arguments, ctypes.byref(handle))
        return handle.value or 0

    def allocate(self, size: int) -> int:
        """Allocate bytes of the current device's memory; return the address."""
        address, exhausted = ctypes.c_void_p(), ctypes.c_bool()
        self.call("allocate", size, ctypes.byref(address), ctypes.byref(exhausted))
        return address.value or 0

    def enqueue(self, stream: int, call: Callable[[], object]) -> None:
        """Put a call into a stream, or into the graph that is captured from it.

        It runs when the stream is waited for, in the thread that waits. Raises HostCudaError.
        """
        key = next(self._keys)
        self._calls[key] = call
        arguments = (ctypes.c_void_p(stream), self._callback, ctypes.c_void_p(key))
        if self._library.host_cuda_enqueue(*arguments):
            raise HostCudaError(self._library.host_cuda_error().decode())

    def is_device(self, address: int, size: int) -> bool:
        """Return True if all of these bytes are memory of one device that was not released."""
        return bool(
            self._library.host_cuda_is_device(ctypes.c_void_p(address), ctypes.c_size_t(size))
        )

    def counter(self, name: str) -> int:
        """Return one of the counters that csrc/tests/host_cuda.h lists."""
        return int(self._library.host_cuda_counter(name.encode()))

    def reset(self) -> None:
        """Set the counters to 0."""
        self._library.host_cuda_reset()

    def fail(self, function: str, times: int, message: str = "cudaErrorUnknown") -> None:
        """Make the next calls of a function of the table fail."""
        if function not in self._table:
            raise KeyError(function)
        self._library.host_cuda_fail(function.encode(), ctypes.c_int(times), message.encode())

    def array(self, address: int, shape: Sequence[int], dtype: DTypeLike) -> NDArray[Any]:
        """Return a view of the device's memory at an address."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if not self.is_device(address, size):
            raise HostCudaError(f"{size} bytes at {address:#x} are not all device memory")
        memory = (ctypes.c_uint8 * size).from_address(address)
        return np.ctypeslib.as_array(memory).view(kind).reshape(tuple(shape))
