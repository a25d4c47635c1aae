"""Fixtures of all tests: the data set, the shipped engines, the repository and its build tools."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fixture_types import Alone, Once, Run
from repository import ROOT

# Set before PyTorch and NumPy are imported, and inherited by child processes: the threads of their
# pools spin while they wait, and tests run in parallel.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pytest
from filelock import FileLock

import compute_sanitizer
from gpus import why_no_gpu
from zoo import data, engine_path
from zoo.data import DataSet
from zoo.signals import ENDING

GPU_SKIPPED = pytest.StashKey[int]()
SANITIZER_SKIPPED = pytest.StashKey[int]()
SKIPPED = {"gpu": GPU_SKIPPED, "sanitizer": SANITIZER_SKIPPED}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--gpu`: a machine without a usable GPU is an error."""
    parser.addoption("--gpu", action="store_true", help="fail where no GPU can be used")


def pytest_configure(config: pytest.Config) -> None:
    """Obey Ctrl-C, here and in all children, where the tests were started to ignore it.

    A shell does so for what a script puts into the background.
    """
    for number in ENDING:
        if signal.getsignal(number) is signal.SIG_IGN:
            own = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, own)


# Files of the longest tests: what begins last, one of several processes ends alone.
FIRST = (
    "test_cpp.py",
    "test_aarch64.py",
    "test_emulated_gpu.py",
    "test_gpu_benchmark_runs.py",
    "test_install.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest tests; skip those that need a GPU or compute-sanitizer.

    Where there is none of these, they are counted. Names with an address differ between the
    processes of pytest-xdist, which then refuses to run: they are refused here, by name.
    """
    if changing := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"names of tests contain addresses: {', '.join(changing)}")
    items.sort(key=lambda item: item.path.name not in FIRST)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    reason = why_no_gpu() if marked else ""
    if reason and config.getoption("--gpu"):
        raise pytest.UsageError(f"--gpu: {reason}")
    config.stash[GPU_SKIPPED] = len(marked) if reason else 0
    for item in marked if reason else []:
        item.add_marker(pytest.mark.skip(reason=f"needs a GPU: {reason}"))
    tooled = [item for item in items if item.get_closest_marker("sanitizer")]
    missing = bool(tooled) and not reason and compute_sanitizer.find() is None
    config.stash[SANITIZER_SKIPPED] = len(tooled) if missing else 0
    for item in tooled if missing else []:
        item.add_marker(pytest.mark.skip(reason="needs compute-sanitizer"))
    # For the process that started this one, if pytest-xdist did.
    getattr(config, "workeroutput", {}).update(
        {name: config.stash[key] for name, key in SKIPPED.items()}
    )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Count as a process of pytest-xdist did: each of them collects all tests."""
    for name, key in SKIPPED.items():
        node.config.stash[key] = getattr(node, "workeroutput", {}).get(name, 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many tests wait for a GPU, and for compute-sanitizer."""
    if count := config.stash.get(GPU_SKIPPED, 0):
        terminalreporter.write_line(f"{count} tests need a GPU and were not run (make test-gpu)")
    if count := config.stash.get(SANITIZER_SKIPPED, 0):
        terminalreporter.write_line(
            f"{count} tests need compute-sanitizer and were not run (of the CUDA toolkit)"
        )


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def alone(repository: Path) -> Alone:
    """One process at a time: `with alone(NAME)` waits for the others that are in it.

    For builds, which tests do in folders of the repository, where the next one finds them.
    """
    folder = repository / "build"
    folder.mkdir(exist_ok=True)
    return lambda name: FileLock(folder / f"{name}.lock")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A folder by its name, which the first process of the run that asks for it fills.

    For what takes long to make, and is the same for all tests: `once(NAME, make)` calls
    `make(folder)`, or waits until another process has done so.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, done = shared / f"once-{name}", shared / f"once-{name}.done"
        with FileLock(shared / f"once-{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def fashion_mnist() -> DataSet:
    """Fashion-MNIST, whole: uint8 images [60000, 28, 28, 1] to train on and 10,000 to test."""
    return data.load("fashion-mnist")


@pytest.fixture(scope="session")
def vae_engine() -> Path:
    """The shipped generator of the VAE."""
    return engine_path("vae.onnx")


@pytest.fixture(scope="session")
def vae_encoder_engine() -> Path:
    """The shipped encoder of the VAE."""
    return engine_path("vae.encoder.onnx")


@pytest.fixture(autouse=True)
def clean_accelerate() -> None:
    """Lets each test train in its own precision: accelerate keeps the first of the process."""
    state = sys.modules.get("accelerate.state")
    if state is not None:
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def toy() -> DataSet:
    """Bright squares, left or right: 160 to learn from, 32 to choose by and 32 to measure on."""

    def squares(count: int, seed: int) -> data.Split:
        random = np.random.default_rng(seed)
        images = np.zeros((count, 8, 8, 1), np.uint8)
        labels = random.integers(0, 2, count)
        for image, label in zip(images, labels, strict=True):
            image[2:6, 4 * label : 4 * label + 4] = random.integers(150, 256)
        return data.Split(images, labels)

    both = squares(192, 0)
    train, test = (
        data.Split(both.images[s], both.labels[s]) for s in (slice(160), slice(160, 192))
    )
    return DataSet("toy", train, test, ["left", "right"], validation=squares(32, 1))


@pytest.fixture(scope="module")
def quick_throughput() -> Iterator[None]:
    """Lets the exports of a module measure throughput for a moment only."""
    from export import throughput

    patch = pytest.MonkeyPatch()
    patch.setattr(throughput.measure, "__defaults__", (0.01,))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a program that must succeed; returns its stdout, fails with the end of what it said.

    Programs of the environment that runs the tests (cmake, ninja) come before the system's.
    `env` adds variables, `cwd` is the working folder.
    """

    def call(
        command: Sequence[object], cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> str:
        arguments = [str(part) for part in command]
        # What Python was told here is not for the environments that the tests make.
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LD_"))}
        variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', '')}"
        variables |= env or {}
        program = shutil.which(arguments[0], path=variables["PATH"])
        assert program, f"{arguments[0]} is not installed"
        done = subprocess.run(
            [program, *arguments[1:]],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            output = (done.stdout + done.stderr)[-6000:]
            pytest.fail(f"exit status {done.returncode}: {' '.join(arguments)}\n{output}", False)
        return done.stdout

    return call
