"""TensorRT's enumerations and loggers, as its Python module has them, and the ends of a network."""

from __future__ import annotations

import enum
import math
from typing import Any

import numpy as np
from onnx import TensorProto


class Severity(enum.IntEnum):
    """How much a message weighs; the worst is the least."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class DataType(enum.IntEnum):
    """Types of elements, with TensorRT's own numbers."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8


class TensorIOMode(enum.IntEnum):
    """Which end of a network a tensor is."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ExecutionContextAllocationStrategy(enum.IntEnum):
    """Who allocates the scratch memory."""

    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


_TYPES = {
    TensorProto.FLOAT: (DataType.FLOAT, np.float32),
    TensorProto.FLOAT16: (DataType.HALF, np.float16),
    TensorProto.INT32: (DataType.INT32, np.int32),
    TensorProto.INT64: (DataType.INT64, np.int64),
    TensorProto.BOOL: (DataType.BOOL, np.bool_),
    TensorProto.UINT8: (DataType.UINT8, np.uint8),
}


class ILogger:
    """What is told: a subclass has `log`."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity: int, text: str) -> None:
        """One message."""
        raise NotImplementedError


class Logger(ILogger):
    """Prints what weighs as much as `min_severity`, or more."""

    def __init__(self, min_severity: Severity = Severity.WARNING) -> None:
        self.min_severity = min_severity

    def log(self, severity: int, text: str) -> None:
        """One message."""
        if severity <= self.min_severity:
            print(f"[{Severity(severity).name}] {text}")


class Tensor:
    """An input or output: shape with -1 for the batch."""

    def __init__(self, value: Any, mode: TensorIOMode) -> None:
        kind = value.type.tensor_type
        self.name, self.mode = str(value.name), mode
        self.type, self.numpy = _TYPES[kind.elem_type]
        self.shape = tuple(-1 if axis.dim_param else axis.dim_value for axis in kind.shape.dim)

    def sized(self, rows: int) -> tuple[int, ...]:
        """Its shape for a number of rows."""
        return tuple(rows if length == -1 else length for length in self.shape)

    def size(self, rows: int) -> int:
        """Its bytes for a number of rows."""
        return math.prod(self.sized(rows)) * np.dtype(self.numpy).itemsize
