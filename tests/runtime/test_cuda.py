"""CUDA as far as a machine without a GPU can tell: what was built, and what is refused."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runtime
from bad_values import Lying
from fixture_types import Run
from gpus import why_no_gpu
from runtime import cuda
from runtime.errors import ArgumentError, BackendUnavailableError, DeviceUnavailableError

LIBRARY = Path(runtime.ops.ops_library()).with_name("libzoo_cuda.so")


def test_packed_strides_are_contiguous() -> None:
    """Strides that say what None says are as good; then only the device is missing."""
    packed = Lying(strides=(32, 4))
    with pytest.raises(runtime.errors.Error) as caught:
        cuda.reparametrized_sample(packed, Lying(shape=(2,), typestr="<i8"))
    assert not isinstance(caught.value, ArgumentError)


def test_without_a_device_it_is_said_what_is_missing() -> None:
    reason = why_no_gpu()
    if not reason:
        assert cuda.devices()
        return
    kind = DeviceUnavailableError if LIBRARY.exists() else BackendUnavailableError
    with pytest.raises(kind) as caught:
        cuda.devices()
    assert str(caught.value) == reason
    assert re.search("driver|device", reason) if LIBRARY.exists() else "nvcc" in reason
    # The process lives on.
    assert runtime.noise.normals(0, 0, 1, 4).shape == (1, 4)


def test_kernels_were_built_where_there_is_an_nvcc() -> None:
    """For every architecture: the machine code is an ELF image that names its target."""
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        # Nothing to build them with; a wheel's or a toolkit's compiler may have been found.
        assert not LIBRARY.exists() or LIBRARY.stat().st_size > 100_000
        return
    assert LIBRARY.exists()
    output = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"release (\d+)\.(\d+)", output)
    assert release is not None
    newest = (int(release[1]), int(release[2])) >= (12, 8)
    content = LIBRARY.read_bytes()
    for architecture in [80, 86, 89, 90, *([100, 120] if newest else [])]:
        assert images_of(content, architecture) > 0, architecture


def test_the_plugin_library_has_what_tensorrt_looks_for() -> None:
    """Every symbol that it needs is found when it is opened, without TensorRT and without a GPU."""
    if not shutil.which("nvcc"):
        return
    library = ctypes.CDLL(str(runtime.ops.plugin_library()), mode=os.RTLD_NOW)
    count = ctypes.c_int32()
    library.getCreators.restype = ctypes.c_void_p
    assert library.getCreators(ctypes.byref(count)) and count.value == 2
    assert library.setLoggerFinder


def images_of(library: bytes, architecture: int) -> int:
    """Images of device code for an architecture, by the headers in the library's fat binaries.

    The header of each is: kind (1 PTX, 2 machine code) as 16 bits, version 0x0101, its length as 32
    bits, the length of the code as 64, …, and at 28 the architecture as 32 bits.
    """
    count = 0
    for match in re.finditer(rb"\x02\x00\x01\x01", library):
        target = library[match.start() + 28 : match.start() + 32]
        count += int.from_bytes(target, "little") == architecture
    return count


@pytest.mark.slow
def test_without_nvcc_the_build_is_complete_and_says_so(
    repository: Path, run: Run, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    options = {
        "ZOO_BUILD_PYTHON": "OFF",
        "ZOO_BUILD_OPENVINO": "OFF",
        "Python_EXECUTABLE": sys.executable,
        "CMAKE_CUDA_COMPILER": tmp_path / "nvcc",
    }
    command = ["cmake", "-S", repository, "-B", build, "-G", "Ninja"]
    output = run([*command, *[f"-D{name}={value}" for name, value in options.items()]])
    assert "no nvcc that works was found; this build is for CPUs only" in output
    targets = run(["ninja", "-C", build, "-t", "targets", "all"])
    assert "libzoo.so" in targets and "libzoo_cuda" not in targets
