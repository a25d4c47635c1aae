"""Recording of Python arithmetic as the body of an ONNX function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

_DTYPES = {"float": np.float32, "double": np.float64, "int": np.int64}
_ONNX_TYPES = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "int": TensorProto.INT64,
}


class Tape:
    """Recorder of nodes in order; its methods return the `Value` computed by the new node."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._count = 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Value] = {}

    def input(self, name: str, dtype: str) -> Value:
        """Return an input of the function; `dtype` is "float", "double", "int" or "bool"."""
        return Value(self, name, dtype)

    def constant(self, values: Any, dtype: str) -> Value:
        """Add a constant tensor with the shape of `values`; equal constants share a node.

        Raises:
            ValueError: a value is not exact in the dtype.
        """
        exact = np.asarray(values)
        array = exact.astype(_DTYPES[dtype])
        if not np.array_equal(array.astype(exact.dtype), exact):
            raise ValueError(f"{values!r} is not exact as {dtype}")
        key = (dtype, array.shape, array.tobytes())
        if key not in self._constants:
            tensor = numpy_helper.from_array(array)
            self._constants[key] = self.op("Constant", dtype=dtype, value=tensor)
        return self._constants[key]

    def attribute(self, name: str) -> Value:
        """Add the function's integer attribute `name` as an int scalar."""
        value = self.op("Constant", dtype="int")
        reference = AttributeProto(
            name="value_int", ref_attr_name=name, type=AttributeProto.AttributeType.INT
        )
        self.nodes[-1].attribute.append(reference)
        return value

    def op(
        self,
        op_type: str,
        *inputs: Value,
        dtype: str | None = None,
        output: str | None = None,
        **attributes: Any,
    ) -> Value:
        """Add a standard operator; its dtype is by default that of the first input."""
        if output is None:
            self._count += 1
            output = f"v{self._count}"
        result = Value(self, output, dtype or inputs[0].dtype)
        self.nodes.append(
            helper.make_node(op_type, [value.name for value in inputs], [result.name], **attributes)
        )
        return result

    def where(self, condition: Value, yes: Value, no: Value) -> Value:
        """Select `yes` if the condition holds, else `no`."""
        return self.op("Where", condition, yes, no, dtype=yes.dtype)

    def concat(self, *values: Value, axis: int) -> Value:
        """Concatenate tensors along an axis."""
        return self.op("Concat", *values, axis=axis)


@dataclass(frozen=True)
class Value:
    """A tensor of the body. Python numbers in arithmetic become constants of its dtype."""

    tape: Tape
    name: str
    dtype: str

    def _operand(self, other: Value | float | int) -> Value:
        return other if isinstance(other, Value) else self.tape.constant(other, self.dtype)

    def __add__(self, other: Value | float) -> Value:
        return self.tape.op("Add", self, self._operand(other))

    def __sub__(self, other: Value | float) -> Value:
        return self.tape.op("Sub", self, self._operand(other))

    def __mul__(self, other: Value | float) -> Value:
        return self.tape.op("Mul", self, self._operand(other))

    def __truediv__(self, other: Value | float) -> Value:
        return self.tape.op("Div", self, self._operand(other))

    def __neg__(self) -> Value:
        return self.tape.op("Neg", self)

    def __and__(self, other: Value | int) -> Value:
        return self.tape.op("BitwiseAnd", self, self._operand(other))

    def __xor__(self, other: Value | int) -> Value:
        return self.tape.op("BitwiseXor", self, self._operand(other))

    def __rshift__(self, bits: int) -> Value:
        """Shift a non-negative int, by a division since BitShift takes unsigned types only."""
        return self.tape.op("Div", self, self._operand(1 << bits))

    def __lshift__(self, bits: int) -> Value:
        return self.tape.op("Mul", self, self._operand(1 << bits))

    def __lt__(self, other: Value | float) -> Value:
        return self.tape.op("Less", self, self._operand(other), dtype="bool")

    def __gt__(self, other: Value | float) -> Value:
        return self.tape.op("Greater", self, self._operand(other), dtype="bool")

    def equal(self, other: Value | float) -> Value:
        return self.tape.op("Equal", self, self._operand(other), dtype="bool")

    def cast(self, dtype: str) -> Value:
        """Convert the type; int to float rounds to nearest even."""
        return self.tape.op("Cast", self, dtype=dtype, to=_ONNX_TYPES[dtype])

    def sqrt(self) -> Value:
        return self.tape.op("Sqrt", self)

    def floor(self) -> Value:
        return self.tape.op("Floor", self)

    def take(self, index: int | list[int]) -> Value:
        """Take the entry at an index of axis 0, which goes, or those at a list of indices."""
        return self.tape.op("Gather", self, self.tape.constant(index, "int"), axis=0)

    def unsqueeze(self, *axes: int) -> Value:
        return self.tape.op("Unsqueeze", self, self.tape.constant(list(axes), "int"))

    def shape(self, axis: int) -> Value:
        """Return the length of an axis, as an int tensor of shape [1]."""
        return self.tape.op("Shape", self, dtype="int", start=axis, end=axis + 1)

    def expand(self, shape: Value) -> Value:
        return self.tape.op("Expand", self, shape)

    def reshape(self, shape: Value) -> Value:
        return self.tape.op("Reshape", self, shape)
