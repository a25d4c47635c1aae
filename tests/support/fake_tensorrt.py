"""Stand-in for NVIDIA's module `tensorrt_rtx`, with the part of its API that runs plans.

It computes with ONNX Runtime on a CPU, in the memory and on the streams of emulated CUDA devices.
Enumerations and loggers are those of the real module, which builds the plans. Like TensorRT it logs
errors and returns False or None; unlike TensorRT it checks that every address is device memory, and
overwrites the scratch memory before and after each run.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import tensorrt_rtx_bindings as real
from onnx import ModelProto, helper

from host_cuda import HostCuda, HostCudaError
from plan_cases import graph_of_plan

ALIGNMENT = 256
"""Bytes that the address of the scratch memory must be a multiple of."""

NAME = "tensorrt_rtx"
"""Module that the runtime tries first; the installed one has another name."""

_SCRIBBLE = 0xEE
_TYPES = {np.dtype(np.float32): "FLOAT", np.dtype(np.int64): "INT64", np.dtype(np.uint8): "UINT8"}


class FakeTensorRT(ModuleType):
    """The module.

    Args:
        device: the emulated devices.

    Attributes:
        executions: number of calls of `execute_async_v3`, which replays do not make.
        host_code: True if plans contain host code.
        scratch_per_row: bytes of scratch memory of a network per row.
        find: returns the graph of a plan; None for an unknown plan.
        spoil: called in each run with the graph, the rows, and the outputs, to change or delay
            them.
    """

    ILogger, DataType, TensorIOMode = real.ILogger, real.DataType, real.TensorIOMode
    ExecutionContextAllocationStrategy = real.ExecutionContextAllocationStrategy

    def __init__(self, device: HostCuda) -> None:
        super().__init__(NAME)
        self.__spec__ = ModuleSpec(NAME, None)
        self.__version__ = real.__version__
        self.device = device
        self.executions = 0
        self.scratch_per_row = 1000
        self.host_code = False
        self.find: Callable[[bytes], ModelProto | None] = graph_of_plan
        self.spoil: Callable[[ModelProto, int, list[Any]], None] = lambda graph, rows, outputs: None
        self.lock = threading.Lock()
        # A subclass that refers to this module, since the real one is a class, too.
        self.Runtime = type("Runtime", (Runtime,), {"module": self})


class Tensor:
    """An input or output: shape with -1 for the batch."""

    def __init__(self, value: Any, mode: Any) -> None:
        kind = value.type.tensor_type
        self.mode = mode
        self.numpy = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        self.type = getattr(real.DataType, _TYPES[self.numpy])
        self.shape = tuple(-1 if axis.dim_param else axis.dim_value for axis in kind.shape.dim)

    def sized(self, rows: int) -> tuple[int, ...]:
        """Return the shape for a number of rows."""
        return tuple(rows if length == -1 else length for length in self.shape)

    def size(self, rows: int) -> int:
        """Return the size in bytes for a number of rows."""
        return math.prod(self.sized(rows)) * self.numpy.itemsize


class Runtime:
    module: FakeTensorRT

    def __init__(self, logger: Any) -> None:
        self.logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        error = real.ILogger.ERROR
        if self.module.host_code and not self.engine_host_code_allowed:
            self.logger.log(error, "the engine contains host code, which is not allowed")
            return None
        graph = self.module.find(serialized_engine)
        if graph is None:
            text = "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (unknown plan)"
            self.logger.log(error, text)
            return None
        return ICudaEngine(self.module, graph, self.logger)


class ICudaEngine:
    def __init__(self, module: FakeTensorRT, graph: ModelProto, logger: Any) -> None:
        self.module, self.graph, self.logger = module, graph, logger
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        # Batch sizes, each of which has a profile.
        self.buckets: list[int] = json.loads(graph.doc_string)["plan"]["buckets"]
        ends = ((graph.graph.input, "INPUT"), (graph.graph.output, "OUTPUT"))
        self.tensors = {
            value.name: Tensor(value, getattr(real.TensorIOMode, mode))
            for values, mode in ends
            for value in values
        }

    def refuse(self, text: str) -> bool:
        """Log an error and return False."""
        self.logger.log(real.ILogger.ERROR, text)
        return False

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return self.tensors[name].mode

    def get_tensor_dtype(self, name: str) -> Any:
        return self.tensors[name].type

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def create_execution_context(self, strategy: Any) -> IExecutionContext:
        assert strategy == real.ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self)


class IExecutionContext:
    """State of a network: shapes and addresses for one batch size."""

    def __init__(self, engine: ICudaEngine) -> None:
        self.engine = engine
        self._rows = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = (0, 0)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        buckets = self.engine.buckets
        if not 0 <= profile_index < len(buckets):
            return self.engine.refuse(f"setOptimizationProfileAsync: no profile {profile_index}")
        self._rows = buckets[profile_index]
        self._shapes.clear()
        return True

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        tensor = self.engine.tensors.get(name)
        if tensor is None or tensor.mode != real.TensorIOMode.INPUT:
            return self.engine.refuse(f"setInputShape: {name} is no input")
        if not self._rows or tuple(shape) != tensor.sized(self._rows):
            return self.engine.refuse(
                f"setInputShape: {name}: {tuple(shape)} does not satisfy the profile of "
                f"{self._rows} rows"
            )
        self._shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        if name not in self.engine.tensors:
            return self.engine.refuse(f"setTensorAddress: there is no tensor {name}")
        self._addresses[name] = int(memory)
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        """Return the bytes of scratch memory; 0 if a shape is missing, as TensorRT does."""
        if self._missing_shape():
            return 0
        return self.engine.module.scratch_per_row * self._rows

    def set_device_memory(self, memory: int, size: int) -> None:
        self._scratch = (int(memory), int(size))

    def execute_async_v3(self, stream_handle: int) -> bool:
        engine = self.engine
        if self._missing_shape() or not self._good_memory():
            return False
        # Later calls set the state for other work.
        rows, scratch = self._rows, self._scratch
        tensors = {name: (kind, self._addresses[name]) for name, kind in engine.tensors.items()}
        try:
            engine.module.device.enqueue(
                stream_handle, lambda: _run(engine, tensors, rows, scratch)
            )
        except HostCudaError as error:
            return engine.refuse(f"enqueueV3: {error}")
        with engine.module.lock:
            engine.module.executions += 1
        return True

    def _missing_shape(self) -> bool:
        """Return True, and log it, if a shape that depends on the batch is not set."""
        for name, tensor in self.engine.tensors.items():
            sized = tensor.mode == real.TensorIOMode.INPUT and -1 in tensor.shape
            if not self._rows or (sized and name not in self._shapes):
                return not self.engine.refuse(f"the profile or the shape of {name} is not set")
        return False

    def _good_memory(self) -> bool:
        """Return True if all addresses are disjoint device memory; log an error if not."""
        engine, (scratch, available) = self.engine, self._scratch
        needed = self.update_device_memory_size_for_shapes()
        if available < needed or scratch % ALIGNMENT:
            return engine.refuse(
                f"{available} bytes of scratch memory at {scratch:#x}, not {needed}"
            )
        parts = [("scratch memory", scratch, needed)] if needed else []
        for name, tensor in engine.tensors.items():
            if name not in self._addresses:
                return engine.refuse(f"the address of {name} is not set")
            parts.append((name, self._addresses[name], tensor.size(self._rows)))
        for name, address, size in parts:
            if not engine.module.device.is_device(address, size):
                return engine.refuse(f"{name}: {size} bytes at {address:#x} not in device memory")
        ends = sorted((address, address + size, name) for name, address, size in parts)
        for (_, end, name), (begin, _, other) in zip(ends, ends[1:], strict=False):
            if end > begin:
                return engine.refuse(f"{name} and {other} overlap")
        return True


def _run(
    engine: ICudaEngine,
    tensors: Mapping[str, tuple[Tensor, int]],
    rows: int,
    scratch: tuple[int, int],
) -> None:
    """Compute the network; called when the stream reaches its kernels."""
    module, (address, size) = engine.module, scratch

    def overwrite_scratch() -> None:
        if size:
            module.device.array(address, [size], np.uint8)[:] = _SCRIBBLE

    overwrite_scratch()
    feed, outputs = {}, {}
    for name, (tensor, at) in tensors.items():
        memory = module.device.array(at, tensor.sized(rows), tensor.numpy)
        if tensor.mode == real.TensorIOMode.INPUT:
            feed[name] = memory.copy()
        else:
            outputs[name] = memory
    results = engine.session.run([*outputs], feed)
    module.spoil(engine.graph, rows, results)
    for memory, value in zip(outputs.values(), results, strict=True):
        memory[...] = value
    overwrite_scratch()
