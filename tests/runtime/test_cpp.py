"""The C++ tests: as they are, under AddressSanitizer and under ThreadSanitizer.

What needs no GPU of a real TensorRT is tested with the lean library of TensorRT 10, which
`scripts/setup.sh test` puts into a folder of its own, `oracles` in the virtual environment.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fixture_types import Alone, Run
from small_engines import write_all

# The sanitizer, and the symbol that shows that a program really was built with it.
SANITIZERS = {"none": None, "address": "__asan_init", "thread": "__tsan_init"}


def site_packages() -> Path:
    """The folder that has the package onnxruntime, found without importing it."""
    spec = find_spec("onnxruntime")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent.parent


def without_address_randomisation() -> list[str]:
    """ThreadSanitizer of GCC 12 and older finds no room in the address space of newer kernels."""
    wrapper = ["setarch", os.uname().machine, "-R"]
    try:
        works = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    return wrapper if works else []


def real_tensorrt() -> Path:
    """The lean library of TensorRT; the test is skipped where it is not installed."""
    folder = Path(sys.prefix) / "oracles" / "tensorrt_lean_libs"
    libraries = sorted(folder.glob("libnvinfer_lean.so.*"))
    if not libraries:
        pytest.skip("TensorRT's lean library is not in the folder that scripts/setup.sh test fills")
    return libraries[0]


def installed_plugins() -> Path:
    """The library of plugins, as it was built with the package."""
    spec = find_spec("runtime._runtime")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "lib" / "libzoo_plugins.so"


def registry(build: Path) -> Path:
    """The program that only test_with_a_real_tensorrt builds and runs."""
    return build / "csrc" / "tests" / "registry_test"


def configure(build: Path, repository: Path, run: Run, options: Mapping[str, object]) -> None:
    """Configure the C++ tests in a folder: the package's, or one of a sanitizer."""
    configuration = {
        "ZOO_BUILD_TESTS": "ON",
        "ZOO_TEST_PLUGINS": "",
        "ZOO_TEST_TENSORRT": "",
        **options,
    }
    if options.get("ZOO_SANITIZE"):
        configuration |= {
            "Python_EXECUTABLE": sys.executable,
            "ZOO_BUILD_PYTHON": "OFF",
            "ZOO_BUILD_OPENVINO": "OFF",
            "ZOO_BUILD_CUDA": "OFF",
            # Fast to compile, and with lines in the reports.
            "CMAKE_BUILD_TYPE": "Debug",
            "CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1",
        }
    definitions = [f"-D{name}={value}" for name, value in configuration.items()]
    run(["cmake", "-S", repository, "-B", build, "-G", "Ninja", *definitions])


def ctest(build: Path, repository: Path, run: Run, *arguments: str) -> dict[str | None, str | None]:
    """Run the tests in a folder, which must all pass; what became of each, by its name."""
    report = build / "report.xml"
    suppressions = repository / "csrc" / "tests" / "thread_sanitizer.supp"
    report.unlink(missing_ok=True)
    run(
        [*without_address_randomisation(), "ctest", "--output-on-failure", "--no-tests=error"]
        + ["--output-junit", report, *arguments],
        cwd=build,
        env={
            "ASAN_OPTIONS": "detect_leaks=1",
            "TSAN_OPTIONS": f"halt_on_error=1:suppressions={suppressions}",
        },
    )
    cases = ElementTree.parse(report).iter("testcase")
    return {case.get("name"): case.get("status") for case in cases}


@pytest.fixture
def build(sanitizer: str, repository: Path, alone: Alone) -> Iterator[Path]:
    """The folder that the tests are built in, for nobody else meanwhile.

    Without a sanitizer it is the one that the package was built in: the tests are linked to the
    very objects that are shipped.
    """
    if sanitizer == "none":
        tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
        built = list((repository / "build").glob(f"{tag}-*/CMakeCache.txt"))
        assert len(built) == 1, "scripts/setup.sh test builds the package in build/"
        with alone("package"):
            yield built[0].parent
        return
    name = f"cpp-tests-{sanitizer}"
    with alone(name):
        yield repository / "build" / name


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_cpp(
    sanitizer: str, build: Path, repository: Path, vae_engine: Path, run: Run, tmp_path: Path
) -> None:
    write_all(tmp_path)
    options = {
        "ZOO_SANITIZE": "" if sanitizer == "none" else sanitizer,
        "ZOO_TEST_ENGINE": vae_engine,
        "ZOO_TEST_ROLES": tmp_path,
        "ZOO_TEST_SITE_PACKAGES": site_packages(),
    }
    configure(build, repository, run, options)
    run(["cmake", "--build", build, "--parallel", "2", "--target", "zoo_tests"])

    symbol = SANITIZERS[sanitizer]
    # Those of test_with_a_real_tensorrt are built in the same folder.
    programs = sorted(set((build / "csrc" / "tests").glob("*_test")) - {registry(build)})
    for program in programs:
        assert symbol is None or symbol.encode() in program.read_bytes(), program

    states = ctest(build, repository, run)
    assert len(states) >= len(programs) >= 6
    # TensorRT's headers are installed with the tests; CUDA's come with its compiler.
    for name in ("plugins", "native_plan_fake", "native_plan_wheel", "native_plan_system"):
        assert (name in states) == bool(shutil.which("nvcc"))
    assert set(states.values()) == {"run"}, states


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="the plugins are built where nvcc is")
@pytest.mark.parametrize("sanitizer", ["none"])
def test_with_a_real_tensorrt(build: Path, repository: Path, run: Run) -> None:
    """The plugins, as installed, in its registry; and what it says where it finds no driver."""
    library, plugins = real_tensorrt(), installed_plugins()
    assert plugins.is_file()
    options = {"ZOO_TEST_PLUGINS": plugins, "ZOO_TEST_TENSORRT": library}
    configure(build, repository, run, options)
    targets = ["registry_test", "native_plan_test", "host_cuda", "zoo_tensorrt"]
    run(["cmake", "--build", build, "--parallel", "2", "--target", *targets])
    states = ctest(build, repository, run, "--tests-regex", "^(registry|real_tensorrt)$")
    assert states == {"registry": "run", "real_tensorrt": "run"}
