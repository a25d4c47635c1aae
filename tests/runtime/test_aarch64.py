"""The library on AArch64: cross-compiled, run by an emulator, and the same bytes as here.

Debian's packages g++-aarch64-linux-gnu and qemu-user hold what this needs.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import runtime
import zoo
from fixture_types import Alone, Run

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
SYSROOT = "/usr/aarch64-linux-gnu"
MISSING = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
ROWS, SEED = 2, 3

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def build(repository: Path, run: Run, alone: Alone) -> Iterator[Path]:
    """The folder of csrc/tests, with its programs for AArch64."""
    folder = repository / "build" / "aarch64"
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CXX_COMPILER": COMPILER,
        # Fast to compile. Kernels have options of their own.
        "CMAKE_BUILD_TYPE": "None",
        "CMAKE_CXX_FLAGS": "-O1",
        "Python_EXECUTABLE": sys.executable,
        "ZOO_BUILD_PYTHON": "OFF",
        "ZOO_BUILD_OPENVINO": "OFF",
        "ZOO_BUILD_CUDA": "OFF",
        "ZOO_BUILD_TESTS": "ON",
    }
    definitions = [f"-D{name}={value}" for name, value in options.items()]
    with alone("aarch64"):
        run(["cmake", "-S", repository, "-B", folder, "-G", "Ninja", *definitions])
        run(["cmake", "--build", folder, "--parallel", "2", "--target", "grid", "native_test"])
        yield folder / "csrc" / "tests"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan-faces", "gan", "progan", "stylegan", "vae"])
def test_images_are_the_same_bytes(name: str, build: Path, run: Run, tmp_path: Path) -> None:
    """Noise, tiles, minimal filtering and norms, with the kernels of both architectures."""
    path = zoo.engine_path(f"{name}.onnx")
    picture = tmp_path / "grid.pnm"
    said = run([EMULATOR, "-L", SYSROOT, build / "grid", path, picture, ROWS, SEED])
    assert f"{ROWS**2} images by native in" in said
    with runtime.Generator(path, backend="native", instances=1) as generator:
        images = generator.sample(ROWS**2, seed=SEED)
    height, width, channels = images.shape[1:]
    expected = images.reshape(ROWS, ROWS, height, width, channels).swapaxes(1, 2)
    pixels = np.frombuffer(picture.read_bytes()[-images.size :], np.uint8)
    assert np.array_equal(pixels, expected.ravel())


@pytest.mark.slow
def test_layers_are_right(build: Path, run: Run) -> None:
    """The layers against double precision, with the kernels of AArch64."""
    assert ", 0 failed" in run([EMULATOR, "-L", SYSROOT, build / "native_test"])
