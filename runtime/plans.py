"""TensorRT through its own Python bindings, in any version.

C++ (csrc/backends/tensorrt) owns the memory, the streams and the CUDA graphs; this module opens a
plan and enqueues its work once for each batch size. Nothing here runs while images are computed.
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
"""Environment variable that, set to 1, allows plans to run host code that they contain.

Version-compatible plans contain such code; TensorRT refuses them otherwise."""

_EXHAUSTED = ("out of memory", "outofmemory", "cudaerrormemoryallocation")
# Logged by builds that succeed too, and with every failure on a machine without a driver.
_CHATTER = ("Thread context has not been set", "catchCudaError")


class Log:
    """Messages of TensorRT, which accepts one logger for the whole process (`log_of`)."""

    def __init__(self, module: Any) -> None:
        self.messages: list[tuple[int, str]] = []
        severity = module.ILogger.Severity
        self._error = int(severity.ERROR)
        self._warning = int(severity.WARNING)
        log = self

        class Logger(module.ILogger):
            """Logger object that the module calls."""

            def __init__(self) -> None:
                module.ILogger.__init__(self)

            def log(self, level: Any, text: str) -> None:
                """Store one message; also called from TensorRT's own threads."""
                log.add(int(level), text)

        self.logger = Logger()

    def add(self, level: int, text: str) -> None:
        """Store a message that is a warning or worse."""
        if level <= self._warning:
            self.messages.append((level, " ".join(text.split())))

    def clear(self) -> None:
        """Delete all messages."""
        self.messages.clear()

    def first_error(self) -> str:
        """Return the first error since `clear`, in TensorRT's words, or "no reason given"."""
        for level, text in self.messages:
            if level <= self._error and not any(part in text for part in _CHATTER):
                return text
        return "no reason given"


@cache
def log_of(module: Any) -> Log:
    """Return the log of a TensorRT module, one per module."""
    return Log(module)


class TensorRt:
    """An installed TensorRT: its Python module, its log and its runtime, which opens plans."""

    def __init__(self, module: Any) -> None:
        self.module, self.log = module, log_of(module)
        self.runtime = module.Runtime(self.log.logger)
        if os.environ.get(HOST_CODE) == "1":
            self.runtime.engine_host_code_allowed = True

    def failure(self, what: str) -> ExecutionError:
        """Return the exception for a failed call, with TensorRT's own message."""
        text = f"TensorRT {self.module.__version__} {what}: {self.log.first_error()}"
        self.log.clear()
        if any(word in text.lower() for word in _EXHAUSTED):
            return OutOfMemoryError(text)
        return ExecutionError(text)


@cache
def load_tensorrt(target: str) -> TensorRt:
    """Import the TensorRT that runs plans of a target. Raises BackendUnavailableError."""
    problems = []
    for name in MODULES[target]:
        try:
            return TensorRt(importlib.import_module(name))
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
        self._tensorrt = tensorrt = engine.tensorrt
        strategy = tensorrt.module.ExecutionContextAllocationStrategy.USER_MANAGED
        # TensorRT logs the reason of a failure before the call returns.
        tensorrt.log.clear()
        self._context = engine.engine.create_execution_context(strategy)
        if self._context is None:
            raise tensorrt.failure("cannot create an execution context")
        if not self._context.set_optimization_profile_async(profile, stream):
            raise tensorrt.failure(f"cannot select profile {profile}")
        for name, shape in engine.inputs:
            full = [rows if length < 0 else length for length in shape]
            if not self._context.set_input_shape(name, full):
                raise tensorrt.failure(f"does not accept shape {full} for '{name}'")
        self.scratch_bytes = int(self._context.update_device_memory_size_for_shapes())

    def bind(self, addresses: dict[str, int], scratch: int, scratch_bytes: int) -> None:
        """Set the device addresses of the inputs, outputs and scratch memory."""
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise self._tensorrt.failure(f"does not accept the address of '{name}'")
        if scratch_bytes:
            self._context.set_device_memory(scratch, scratch_bytes)

    def enqueue(self, stream: int) -> None:
        """Enqueue the network on a stream."""
        if not self._context.execute_async_v3(stream):
            raise self._tensorrt.failure("cannot run the plan")


class Engine:
    """A plan on the current device."""

    def __init__(self, path: str, target: str, built_by: str) -> None:
        self.tensorrt = tensorrt = load_tensorrt(target)
        tensorrt.log.clear()
        self.engine = tensorrt.runtime.deserialize_cuda_engine(Path(path).read_bytes())
        if self.engine is None:
            raise _loading_error(path, target, built_by, tensorrt)
        self.inputs: list[tuple[str, Sequence[int]]] = []
        self.tensors: list[tuple[str, str, list[int]]] = []
        for index in range(self.engine.num_io_tensors):
            name = self.engine.get_tensor_name(index)
            shape = list(self.engine.get_tensor_shape(name))
            if self.engine.get_tensor_mode(name) == tensorrt.module.TensorIOMode.INPUT:
                self.inputs.append((name, shape))
            self.tensors.append((name, self._dtype(name), shape))

    def _dtype(self, name: str) -> str:
        """Return the type of an input or output, as manifests name it."""
        kind = str(self.engine.get_tensor_dtype(name).name)
        return {"FLOAT": "float32", "UINT8": "uint8", "INT64": "int64"}.get(kind, kind)

    def context(self, profile: int, rows: int, stream: int) -> Context:
        """Return the network for one of the plan's batch sizes, by the index of its profile."""
        return Context(self, profile, rows, stream)


def _loading_error(path: str, target: str, built_by: str, tensorrt: TensorRt) -> Exception:
    failure = tensorrt.failure(f"cannot open '{path}'")
    if isinstance(failure, OutOfMemoryError):
        return failure
    here = str(tensorrt.module.__version__)
    if built_by != here:
        return BackendUnavailableError(
            f"'{path}' was built by {target} {built_by}, but {here} is installed; build it again: "
            f"python -m export ENGINE.onnx --out {path} --target {target} ({failure})"
        )
    return EngineFileError(str(failure))


def load(path: str, target: str, built_by: str) -> Engine:
    """Open a plan on the current device.

    Args:
        path: the plan.
        target: tensorrt or tensorrt-rtx.
        built_by: version of TensorRT that built the plan.

    Raises:
        BackendUnavailableError: TensorRT is not installed, or has another version.
        EngineFileError: TensorRT refuses the file.
        OutOfMemoryError: the device does not have enough memory.
    """
    return Engine(path, target, built_by)
