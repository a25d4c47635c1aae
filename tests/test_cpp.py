"""The C++ tests: as they are, under AddressSanitizer and under ThreadSanitizer."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conftest import Run
from small_engines import write_all

# The sanitizer, and the symbol that shows that a program really was built with it.
SANITIZERS = {"none": None, "address": "__asan_init", "thread": "__tsan_init"}


def site_packages() -> Path:
    """The folder that has the package onnxruntime, found without importing it."""
    found = find_spec("onnxruntime")
    assert found is not None and found.origin is not None
    return Path(found.origin).parent.parent


def without_address_randomisation() -> list[str]:
    """ThreadSanitizer of GCC 12 and older finds no room in the address space of newer kernels."""
    wrapper = ["setarch", os.uname().machine, "-R"]
    try:
        works = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    return wrapper if works else []


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_cpp(sanitizer: str, repository: Path, vae_engine: Path, run: Run, tmp_path: Path) -> None:
    write_all(tmp_path)
    build = repository / "build" / f"cpp-tests-{sanitizer}"
    configuration = {
        # As it is shipped, or fast to compile and with lines in the reports.
        "CMAKE_BUILD_TYPE": "Release" if sanitizer == "none" else "Debug",
        "CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1",
        "Python_EXECUTABLE": sys.executable,
        "ZOO_BUILD_TESTS": "ON",
        "ZOO_BUILD_PYTHON": "OFF",
        "ZOO_BUILD_OPENVINO": "OFF",
        "ZOO_BUILD_CUDA": "OFF",
        "ZOO_SANITIZE": "" if sanitizer == "none" else sanitizer,
        "ZOO_TEST_ENGINE": vae_engine,
        "ZOO_TEST_ROLES": tmp_path,
        "ZOO_TEST_SITE_PACKAGES": site_packages(),
    }
    options = [f"-D{name}={value}" for name, value in configuration.items()]
    run(["cmake", "-S", repository, "-B", build, "-G", "Ninja", *options])
    run(["cmake", "--build", build, "--parallel", "2", "--target", "zoo_tests"])

    symbol = SANITIZERS[sanitizer]
    programs = sorted((build / "csrc" / "tests").glob("*_test"))
    for program in programs:
        assert symbol is None or symbol.encode() in program.read_bytes(), program

    report = build / "report.xml"
    report.unlink(missing_ok=True)
    run(
        [*without_address_randomisation(), "ctest", "--output-on-failure", "--no-tests=error"]
        + ["--output-junit", report],
        cwd=build,
        env={"ASAN_OPTIONS": "detect_leaks=1", "TSAN_OPTIONS": "halt_on_error=1"},
    )
    states = {
        case.get("name"): case.get("status") for case in ElementTree.parse(report).iter("testcase")
    }
    assert len(states) >= len(programs) >= 6
    # TensorRT's headers are installed with the tests; CUDA's come with its compiler.
    assert ("plugins" in states) == bool(shutil.which("nvcc"))
    assert set(states.values()) == {"run"}, states
