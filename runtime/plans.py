"""TensorRT by its own Python bindings, of any version.

C++ (csrc/backends/tensorrt) owns the memory, the streams and the graphs; this opens a plan, and
puts its work into a stream once for each batch size. Nothing here runs while images are made.
"""

import importlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from runtime.errors import (
    BackendUnavailableError,
    EngineFileError,
    ExecutionError,
    OutOfMemoryError,
)

MODULES = {
    "tensorrt": ("tensorrt", "tensorrt_lean"),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
"""The modules that run the plans of each target, in the order in which they are tried.

The lean one runs plans that were built to be compatible with later versions."""

EXTRAS = {"tensorrt": "gpu", "tensorrt-rtx": "tensorrt-rtx"}
"""The extra of this package that brings each."""

HOST_CODE = "ZOO_TENSORRT_HOST_CODE"
"""Environment variable that, if it is 1, lets plans run code that they hold for the host.

Those for later versions of TensorRT do. Without it TensorRT refuses them."""

_EXHAUSTED = ("out of memory", "outofmemory", "cudaerrormemoryallocation")
# Said by builds that succeed, and by every failure on a machine without a driver.
_CHATTER = ("Thread context has not been set", "catchCudaError")


class Log:
    """Gathers what TensorRT says: it accepts one logger for the whole process (`log_of`)."""

    def __init__(self, module: Any) -> None:
        self.messages: list[tuple[int, str]] = []
        severity = module.ILogger.Severity
        self._error = int(severity.ERROR)
        self._warning = int(severity.WARNING)
        log = self

        class Logger(module.ILogger):
            """The object that the module calls."""

            def __init__(self) -> None:
                module.ILogger.__init__(self)

            def log(self, level: Any, text: str) -> None:
                """One message; called from TensorRT's own threads too."""
                log.add(int(level), text)

        self.logger = Logger()

    def add(self, level: int, text: str) -> None:
        """Keep a message of at least the weight of a warning."""
        if level <= self._warning:
            self.messages.append((level, " ".join(text.split())))

    def clear(self) -> None:
        """Forget what was said."""
        self.messages.clear()

    def first_error(self) -> str:
        """The first error since `clear`, as TensorRT put it; else "no reason given"."""
        for level, text in self.messages:
            if level <= self._error and not any(part in text for part in _CHATTER):
                return text
        return "no reason given"


@cache
def log_of(module: Any) -> Log:
    """The log of a TensorRT's module, the same one each time."""
    return Log(module)


class Flavour:
    """An installed TensorRT: its module, its log, and what opens plans."""

    def __init__(self, module: Any) -> None:
        self.module, self.log = module, log_of(module)
        self.runtime = module.Runtime(self.log.logger)
        if os.environ.get(HOST_CODE) == "1":
            self.runtime.engine_host_code_allowed = True

    def failure(self, what: str) -> ExecutionError:
        """The exception for a call that failed, with TensorRT's own words."""
        text = f"TensorRT {self.module.__version__} {what}: {self.log.first_error()}"
        self.log.clear()
        if any(word in text.lower() for word in _EXHAUSTED):
            return OutOfMemoryError(text)
        return ExecutionError(text)


@cache
def flavour(target: str) -> Flavour:
    """The installed TensorRT that runs the plans of a target. Raises BackendUnavailableError."""
    problems = []
    for name in MODULES[target]:
        try:
            return Flavour(importlib.import_module(name))
        except ModuleNotFoundError as error:
            if error.name != name:
                problems.append(f"{name}: {error}")
        except Exception as error:  # the wheels look for shared libraries when they are imported
            problems.append(f"{name}: {error}")
    raise BackendUnavailableError(
        f"{target} is not installed: pip install 'generator-zoo[{EXTRAS[target]}]'"
        + "".join(f" ({problem})" for problem in problems)
    )


class Context:
    """A plan's network for one batch size."""

    def __init__(self, engine: "Engine", profile: int, rows: int, stream: int) -> None:
        self._flavour = found = engine.flavour
        strategy = found.module.ExecutionContextAllocationStrategy.USER_MANAGED
        # TensorRT says why something failed before it returns.
        found.log.clear()
        self._context = engine.engine.create_execution_context(strategy)
        if self._context is None:
            raise found.failure("makes no context")
        if not self._context.set_optimization_profile_async(profile, stream):
            raise found.failure(f"has no profile {profile}")
        for name, shape in engine.inputs:
            sized = [rows if length < 0 else length for length in shape]
            if not self._context.set_input_shape(name, sized):
                raise found.failure(f"does not take {sized} for '{name}'")
        self.scratch_bytes = int(self._context.update_device_memory_size_for_shapes())

    def bind(self, addresses: dict[str, int], scratch: int, scratch_bytes: int) -> None:
        """Say where the inputs and outputs are in the device's memory, and the scratch memory."""
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise self._flavour.failure(f"takes no address for '{name}'")
        if scratch_bytes:
            self._context.set_device_memory(scratch, scratch_bytes)

    def enqueue(self, stream: int) -> None:
        """Put the network's work into a stream."""
        if not self._context.execute_async_v3(stream):
            raise self._flavour.failure("does not run")


class Engine:
    """A plan on the current device."""

    def __init__(self, path: str, target: str, built_by: str) -> None:
        self.flavour = found = flavour(target)
        found.log.clear()
        self.engine = found.runtime.deserialize_cuda_engine(Path(path).read_bytes())
        if self.engine is None:
            raise _refused(path, target, built_by, found)
        self.inputs: list[tuple[str, Sequence[int]]] = []
        self.tensors: list[tuple[str, str, list[int]]] = []
        for index in range(self.engine.num_io_tensors):
            name = self.engine.get_tensor_name(index)
            shape = list(self.engine.get_tensor_shape(name))
            if self.engine.get_tensor_mode(name) == found.module.TensorIOMode.INPUT:
                self.inputs.append((name, shape))
            self.tensors.append((name, self._dtype(name), shape))

    def _dtype(self, name: str) -> str:
        """The type of an input or output, as a manifest calls it."""
        kind = str(self.engine.get_tensor_dtype(name).name)
        return {"FLOAT": "float32", "UINT8": "uint8", "INT64": "int64"}.get(kind, kind)

    def context(self, profile: int, rows: int, stream: int) -> Context:
        """The network for one of the plan's batch sizes, by its index."""
        return Context(self, profile, rows, stream)


def _refused(path: str, target: str, built_by: str, found: Flavour) -> Exception:
    failure = found.failure(f"does not open '{path}'")
    if isinstance(failure, OutOfMemoryError):
        return failure
    here = str(found.module.__version__)
    if built_by != here:
        return BackendUnavailableError(
            f"'{path}' was built by {target} {built_by}, here is {here}; build it again: "
            f"python -m export ENGINE.onnx --out {path} --target {target} ({failure})"
        )
    return EngineFileError(str(failure))


def load(path: str, target: str, built_by: str) -> Engine:
    """Open a plan on the current device.

    Args:
        path: of the plan.
        target: tensorrt or tensorrt-rtx, and `built_by` its version then.

    Raises:
        BackendUnavailableError: that TensorRT is not installed, or is of another version.
        EngineFileError: it does not take the file.
        OutOfMemoryError: the device has not enough memory.
    """
    return Engine(path, target, built_by)
