"""The libraries that libzoo opens: which are found first, and that they were built with it."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import interfaces
import runtime
import zoo
from fixture_types import Run

LIB = runtime.ops.ops_library().parent
ENGINE = zoo.engine_path("linear-ae.onnx")
OPENVINO = f"""
import runtime
with runtime.Generator({str(ENGINE)!r}, backend="openvino") as generator:
    print(generator.backend)
"""

PROJECT = """
cmake_minimum_required(VERSION 3.22)
project(interfaces NONE)
include("{csrc}/cmake/ZooInterfaces.cmake")
"""


def written(folder: Path, run: Run) -> dict[str, int]:
    """The numbers that CMake writes for the headers in a folder."""
    source = folder / "project"
    source.mkdir(exist_ok=True)
    (source / "CMakeLists.txt").write_text(PROJECT.format(csrc=folder / "csrc"))
    run(["cmake", "-S", source, "-B", folder / "build"])
    text = (folder / "build" / "interfaces" / "zoo_interfaces.h").read_text()
    return {name: int(value, 16) for name, value in re.findall(r"(k\w+) = (0x\w+);", text)}


def test_every_header_counts(tmp_path: Path, run: Run) -> None:
    """Against the same computed by hand; one changed header changes the numbers that it is in."""
    shutil.copytree(
        interfaces.CSRC, tmp_path / "csrc", ignore=shutil.ignore_patterns("tests", "plugins")
    )
    numbers = written(tmp_path, run)
    assert numbers == {name: interfaces.number(root) for name, root in interfaces.ROOTS.items()}
    included = {name: interfaces.headers(root) for name, root in interfaces.ROOTS.items()}
    assert {"backends/backend.h", "zoo/manifest.h"} <= included["kOpenVinoInterface"]
    for header in ("backends/backend.h", "zoo/manifest.h", "ops/philox.h"):
        path = interfaces.find(tmp_path / "csrc", header)
        path.write_text(path.read_text().replace("namespace zoo {", "namespace zoo {\nstruct New;"))
        changed = written(tmp_path, run)
        differs = {name for name, value in changed.items() if value != numbers[name]}
        assert differs == {name for name, headers in included.items() if header in headers}
        assert differs
        numbers = changed


def test_the_libraries_have_the_numbers_of_their_headers() -> None:
    with runtime.Generator(ENGINE, backend="openvino"):
        # What they need is loaded.
        for name, entry, constant in (
            ("libzoo_openvino.so", "zoo_openvino_entry", "kOpenVinoInterface"),
            ("libzoo_tensorrt.so", "zoo_tensorrt_entry", "kTensorRtInterface"),
        ):
            if not (LIB / name).exists():
                assert shutil.which("nvcc") is None
                continue
            library = ctypes.CDLL(str(LIB / name))
            number = ctypes.c_uint64.in_dll(library, entry).value
            assert number == interfaces.number(interfaces.ROOTS[constant])
    if not (LIB / "libzoo_cuda.so").exists():
        assert shutil.which("nvcc") is None
        return
    table = ctypes.CDLL(str(LIB / "libzoo_cuda.so")).zoo_cuda_ops
    table.restype = ctypes.c_void_p
    number = interfaces.number(interfaces.ROOTS["kCudaInterface"])
    assert table(ctypes.c_uint64(number))
    # That the lower half is the same is not enough.
    for other in (0, 3, number + 1, number + 2**32):
        assert table(ctypes.c_uint64(other)) is None


def outcome(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A program that imports the runtime which is tested here."""
    source = str(Path(runtime.__file__).parents[1])
    paths = [variables.pop("PYTHONPATH", ""), source]
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_library_of_another_build_is_refused(tmp_path: Path) -> None:
    content = (LIB / "libzoo_openvino.so").read_bytes()
    number = interfaces.number(interfaces.ROOTS["kOpenVinoInterface"]).to_bytes(8, "little")
    assert content.count(number) == 1
    other = tmp_path / "libzoo_openvino.so"
    other.write_bytes(content.replace(number, (3).to_bytes(8, "little")))
    output = outcome(OPENVINO, ZOO_OPENVINO_BACKEND=str(other)).stderr
    assert f"BackendUnavailableError: '{other}' belongs to another version" in output


def test_the_packages_own_folder_comes_first(tmp_path: Path) -> None:
    """Before any other on sys.path: another installation's library is another version's."""
    folder = tmp_path / "runtime" / "lib"
    folder.mkdir(parents=True)
    (folder / "libzoo_openvino.so").write_text("no library")
    done = outcome(OPENVINO, PYTHONPATH=str(tmp_path))
    assert done.stdout == "openvino\n", done.stderr
    details = outcome(OPENVINO, ZOO_OPENVINO_BACKEND=str(folder))
    assert "cannot open" in details.stderr, "what the user says comes before both"


@pytest.mark.skipif(shutil.which("readelf") is None, reason="readelf is not installed")
def test_the_library_has_a_versioned_name(run: Run) -> None:
    series = ".".join(runtime.__version__.split(".")[:2])
    name = f"libzoo.so.{series}"
    assert runtime.ops.ops_library().name == name
    output = run(["readelf", "--dynamic", LIB / "libzoo.so"])
    assert re.findall(r"\(SONAME\).*\[(.+)\]", output) == [name]
    module = next(LIB.parent.glob("_runtime*.so"))
    for library in (module, LIB / "libzoo_openvino.so"):
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", run(["readelf", "--dynamic", library]))
        assert name in needed and "libzoo.so" not in needed
