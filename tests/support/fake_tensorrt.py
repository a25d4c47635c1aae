"""A module in the place of NVIDIA's `tensorrt`: the part of its API that runs plans.

It computes with ONNX Runtime on a CPU, in the memory and on the streams of emulated CUDA devices:
`sys.modules["tensorrt_rtx_bindings"] = FakeTensorRT(device, {plan: graph})`. Like TensorRT it tells
what is wrong to the logger and returns False or None; unlike it, it checks that every address is
device memory, and fills the scratch memory with bytes of its own before and after each run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto

from fake_tensorrt_types import (
    DataType,
    ExecutionContextAllocationStrategy,
    ILogger,
    Logger,
    Severity,
    Tensor,
    TensorIOMode,
)
from host_cuda import HostCuda, HostCudaError

ALIGNMENT = 256
"""Of the scratch memory's address, in bytes."""

_SCRIBBLE = 0xEE


class FakeTensorRT(ModuleType):
    """The module.

    Args:
        device: the emulated devices.
        graphs: the lowered graph of each plan, by the plan's bytes.
        version: what the module says that it is.
        buckets: the batch sizes of the plans, one profile each.
        name: of the module.

    Attributes:
        executions: how often `execute_async_v3` put work into a stream.
        runs: how often that work ran; the replays of a graph are counted here only.
        host_code: whether plans hold code for the host.
        scratch_per_row: bytes of scratch memory that a network asks for, for each row.
        find: the graph of a plan that `graphs` has not; None for one that is unknown here too.
        spoil: called in each run with the graph, the rows, and the outputs, to make them wrong or
            late.
    """

    def __init__(
        self,
        device: HostCuda,
        graphs: Mapping[bytes, ModelProto],
        version: str = "1.7.1",
        buckets: Sequence[int] = (1, 64, 512),
        name: str = "tensorrt_rtx_bindings",
    ) -> None:
        super().__init__(name, __doc__)
        self.__spec__ = ModuleSpec(name, None)
        self.__version__ = version
        self.device, self.graphs, self.buckets = device, graphs, tuple(buckets)
        self.executions = self.runs = 0
        self.scratch_per_row = 1000
        self.host_code = False
        self.find: Callable[[bytes], ModelProto | None] = lambda plan: None
        self.spoil: Callable[[ModelProto, int, list[Any]], None] = lambda graph, rows, made: None
        self._lock = threading.Lock()
        self.Severity, self.ILogger, self.Logger = Severity, ILogger, Logger
        self.DataType, self.TensorIOMode = DataType, TensorIOMode
        self.ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy
        self.ICudaEngine, self.IExecutionContext = ICudaEngine, IExecutionContext
        # A class, as there, that knows of this module.
        self.Runtime = type("Runtime", (Runtime,), {"module": self})

    def count(self, name: str) -> None:
        """Add one to a counter; thread-safe."""
        with self._lock:
            setattr(self, name, getattr(self, name) + 1)


class Runtime:
    """Opens plans."""

    module: FakeTensorRT

    def __init__(self, logger: ILogger) -> None:
        if not isinstance(logger, ILogger):
            raise TypeError(f"expected an ILogger, got {type(logger).__name__}")
        self.logger = logger
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: Any) -> ICudaEngine | None:
        """The engine of a plan's bytes; None for those of no plan that is known here."""
        plan = bytes(serialized_engine)
        if self.module.host_code and not self.engine_host_code_allowed:
            self.logger.log(Severity.ERROR, "the engine contains host code, which is not allowed")
            return None
        graph = self.module.graphs.get(plan) or self.module.find(plan)
        if graph is None:
            text = "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (unknown plan)"
            self.logger.log(Severity.ERROR, text)
            return None
        return ICudaEngine(self.module, graph, self.logger)


class ICudaEngine:
    """A plan's network."""

    def __init__(self, module: FakeTensorRT, graph: ModelProto, logger: ILogger) -> None:
        self.module, self.graph, self.logger = module, graph, logger
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        made = [Tensor(value, TensorIOMode.INPUT) for value in graph.graph.input]
        made += [Tensor(value, TensorIOMode.OUTPUT) for value in graph.graph.output]
        self.tensors = {tensor.name: tensor for tensor in made}

    def refuse(self, text: str) -> bool:
        """Log an error; False."""
        self.logger.log(Severity.ERROR, text)
        return False

    @property
    def num_io_tensors(self) -> int:
        """Inputs and outputs."""
        return len(self.tensors)

    @property
    def num_optimization_profiles(self) -> int:
        """One for each batch size."""
        return len(self.module.buckets)

    def get_tensor_name(self, index: int) -> str:
        """Inputs come first."""
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        """NONE for a name that the network has not."""
        tensor = self.tensors.get(name)
        return tensor.mode if tensor else TensorIOMode.NONE

    def get_tensor_dtype(self, name: str) -> DataType:
        """Of a tensor that the network has."""
        return self.tensors[name].type

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """With -1 for the batch."""
        return self.tensors[name].shape

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        """Least, best and most: the same."""
        return [self.tensors[name].sized(self.module.buckets[profile_index])] * 3

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> IExecutionContext:
        """A context, whose scratch memory is its user's: other strategies are not made here."""
        if strategy != ExecutionContextAllocationStrategy.USER_MANAGED:
            raise NotImplementedError(f"strategy {strategy!r}")
        return IExecutionContext(self)


class IExecutionContext:
    """One batch size at a time."""

    def __init__(self, engine: ICudaEngine) -> None:
        self.engine = engine
        self._rows = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._scratch = (0, 0)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Choose a batch size by its index; the shapes are to be set again."""
        buckets = self.engine.module.buckets
        if not 0 <= profile_index < len(buckets):
            return self.engine.refuse(f"setOptimizationProfileAsync: no profile {profile_index}")
        self._rows = buckets[profile_index]
        self._shapes.clear()
        return True

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        """Of an input, within the profile."""
        tensor = self.engine.tensors.get(name)
        if tensor is None or tensor.mode != TensorIOMode.INPUT:
            return self.engine.refuse(f"setInputShape: {name} is no input")
        if not self._rows or tuple(shape) != tensor.sized(self._rows):
            return self.engine.refuse(
                f"setInputShape: {name}: {tuple(shape)} does not satisfy the profile of "
                f"{self._rows} rows"
            )
        self._shapes[name] = tuple(shape)
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where an input or output is; looked at when it is executed."""
        if name not in self.engine.tensors:
            return self.engine.refuse(f"setTensorAddress: there is no tensor {name}")
        self._addresses[name] = int(memory)
        return True

    def update_device_memory_size_for_shapes(self) -> int:
        """Bytes of scratch memory; 0 where a shape is missing."""
        if self._missing_shape():
            return 0
        return self.engine.module.scratch_per_row * self._rows

    def set_device_memory(self, memory: int, size: int) -> None:
        """The scratch memory."""
        self._scratch = (int(memory), int(size))

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Put the network's work into a stream."""
        engine = self.engine
        if self._missing_shape() or not self._good_memory():
            return False
        # What is set from now on is for other work.
        rows, scratch = self._rows, self._scratch
        tensors = [(tensor, self._addresses[name]) for name, tensor in engine.tensors.items()]
        try:
            engine.module.device.enqueue(
                stream_handle, lambda: _run(engine, tensors, rows, scratch)
            )
        except HostCudaError as error:
            return engine.refuse(f"enqueueV3: {error}")
        engine.module.count("executions")
        return True

    def _missing_shape(self) -> bool:
        """Whether a shape that depends on the batch was not set; told."""
        for name, tensor in self.engine.tensors.items():
            wanted = tensor.mode == TensorIOMode.INPUT and -1 in tensor.shape
            if not self._rows or (wanted and name not in self._shapes):
                return not self.engine.refuse(f"the profile or the shape of {name} is not set")
        return False

    def _good_memory(self) -> bool:
        """Whether every address is device memory that no other one overlaps; what is not, told."""
        engine, (scratch, given) = self.engine, self._scratch
        needed = self.update_device_memory_size_for_shapes()
        if given < needed or scratch % ALIGNMENT:
            return engine.refuse(f"{given} bytes of scratch memory at {scratch:#x}, not {needed}")
        parts = [("scratch memory", scratch, needed)] if needed else []
        for name, tensor in engine.tensors.items():
            if name not in self._addresses:
                return engine.refuse(f"the address of {name} is not set")
            parts.append((name, self._addresses[name], tensor.size(self._rows)))
        for name, address, size in parts:
            if not engine.module.device.is_device(address, size):
                return engine.refuse(f"{name}: {size} bytes at {address:#x} are no device memory")
        ends = sorted((address, address + size, name) for name, address, size in parts)
        for (_, end, name), (begin, _, other) in zip(ends, ends[1:], strict=False):
            if end > begin:
                return engine.refuse(f"{name} and {other} overlap")
        return True


def _run(
    engine: ICudaEngine,
    tensors: Sequence[tuple[Tensor, int]],
    rows: int,
    scratch: tuple[int, int],
) -> None:
    """What the network's kernels do, when it is their turn."""
    module, (address, size) = engine.module, scratch
    module.count("runs")

    def memory(tensor: Tensor, at: int) -> Any:
        return module.device.array(at, tensor.sized(rows), tensor.numpy)

    def scribble() -> None:
        if size:
            module.device.array(address, [size], np.uint8)[:] = _SCRIBBLE

    scribble()
    given = {t.name: memory(t, at).copy() for t, at in tensors if t.mode == TensorIOMode.INPUT}
    results = [(t, at) for t, at in tensors if t.mode == TensorIOMode.OUTPUT]
    made = engine.session.run([tensor.name for tensor, _ in results], given)
    module.spoil(engine.graph, rows, made)
    for (tensor, at), value in zip(results, made, strict=True):
        memory(tensor, at)[...] = value
    scribble()
