"""The operators of domain `zoo` as ONNX model-local functions.

A runtime that does not know the operators runs these bodies; one that does replaces the node with
its native kernel.
"""

from __future__ import annotations

from typing import Literal

from onnx import FunctionProto, helper

from export.portable import floats, integers
from export.portable.tape import Tape, Value

DOMAIN = "zoo"
VERSION = 1
Mode = Literal["linear", "spherical"]


def _function(
    name: str,
    inputs: list[str],
    tape: Tape,
    opset: int,
    doc: str,
    attributes: list[str] | None = None,
    defaults: dict[str, int] | None = None,
) -> FunctionProto:
    return helper.make_function(
        DOMAIN,
        name,
        inputs,
        ["h"],
        tape.nodes,
        [helper.make_opsetid("", opset)],
        attributes=attributes,
        attribute_protos=[helper.make_attribute(k, v) for k, v in (defaults or {}).items()],
        doc_string=doc,
    )


def normals(mu: Value, seed: Value, first: Value, stream: Value) -> Value:
    """Write the noise contract: float [N, D], row r being sample `first + r` of `seed`.

    If seed and first have N elements, row r is sample first[r] of seed[r]. Counter = (element // 4,
    stream, low and high word of the sample), key = seed.
    """
    tape = mu.tape
    one = tape.constant([1], "int")
    rows, width = mu.shape(0), mu.shape(1)
    blocks = (width + 3) >> 2
    zero, step = tape.constant(0, "int"), tape.constant(1, "int")
    row = tape.op("Range", zero, rows.take(0), step) * first.shape(0).equal(1).cast("int")
    block = tape.op("Range", zero, blocks.take(0), step)

    first_low, first_high = integers.words(first)
    total = first_low + row
    sample_low = (total & integers.WORD).unsqueeze(1)
    sample_high = ((first_high + (total >> 32)) & integers.WORD).unsqueeze(1)

    plane = tape.concat(one, rows, blocks, axis=0)
    even = tape.concat(block.expand(plane), sample_low.expand(plane), axis=0)
    odd = tape.concat((stream & integers.WORD).expand(plane), sample_high.expand(plane), axis=0)
    key = tape.concat(*(word.unsqueeze(0, 2) for word in integers.words(seed)), axis=0)
    even, odd = integers.philox(even, odd, key)

    lanes = tape.concat(*(n.unsqueeze(1) for n in floats.box_muller(even, odd)), axis=1)
    lanes = lanes.reshape(tape.concat(tape.constant([4], "int"), rows, blocks, axis=0))
    lanes = tape.op("Transpose", lanes, perm=[1, 2, 0])
    lanes = lanes.reshape(tape.concat(rows, blocks << 2, axis=0))
    return tape.op("Slice", lanes, tape.constant([0], "int"), width, one)


def reparametrized_sample(opset: int) -> FunctionProto:
    """Write zoo::ReparametrizedSample(mu[N,D], logvar[N,D], seed[K], first[K]; stream=0) -> h[N,D].

    K is 1 or N (see `normals`). h = mu + exp(logvar/2) * eps (Kingma & Welling 2013, section 2.4),
    bit-exact with `csrc/ops/reparametrized_sample.h`. `seed` and `first` are int64 with unsigned
    64-bit patterns. `opset` is the version of the standard operators in the model.
    """
    tape = Tape()
    mu, logvar = tape.input("mu", "float"), tape.input("logvar", "float")
    seed, first = tape.input("seed", "int"), tape.input("first", "int")
    eps = normals(mu, seed, first, tape.attribute("stream"))
    tape.op("Add", mu, floats.exp(logvar * 0.5) * eps, output="h")
    return _function(
        "ReparametrizedSample",
        ["mu", "logvar", "seed", "first"],
        tape,
        opset,
        "h = mu + exp(logvar/2) * normal(seed, first + row, stream, element)"
        ", with seed[row] and first[row] if these have an element for each row",
        defaults={"stream": 0},
    )


def batched_interpolate(mode: Mode, opset: int) -> FunctionProto:
    """Write zoo::BatchedInterpolate(a[N,D], b[N,D], t[S]; mode) -> h[N,S,D].

    The body is for one mode, since an ONNX function cannot branch on a string. The linear body is
    bit-exact with `csrc/ops/batched_interpolate.h`; the spherical one (Shoemake, SIGGRAPH 1985)
    uses the acos and sin of the library, and agrees within a few units in the last place. `opset`
    is the version of the standard operators in the model.

    Raises:
        ValueError: the mode is unknown.
    """
    tape = Tape()
    a, b = tape.input("a", "float"), tape.input("b", "float")
    t = tape.input("t", "float").unsqueeze(0, 2)
    if mode == "linear":
        start, end = a.unsqueeze(1), b.unsqueeze(1)
        tape.op("Where", t.equal(1.0), end, start + (end - start) * t, dtype="float", output="h")
    elif mode == "spherical":
        _spherical(a, b, t)
    else:
        raise ValueError(f'mode is {mode!r}, expected "linear" or "spherical"')
    return _function(
        "BatchedInterpolate",
        ["a", "b", "t"],
        tape,
        opset,
        f"{mode} interpolation from a (t = 0) to b (t = 1)",
        attributes=["mode"],
    )


def _spherical(a: Value, b: Value, t: Value) -> None:
    tape = a.tape

    def dot(x: Value, y: Value) -> Value:
        product = x.cast("double") * y.cast("double")
        return tape.op("ReduceSum", product, tape.constant([1], "int"), keepdims=1)

    norms = (dot(a, a) * dot(b, b)).sqrt()
    positive = norms > 0.0
    one = tape.constant(1.0, "double")
    cosine = tape.where(positive, dot(a, b) / tape.where(positive, norms, one), one)
    cosine = cosine.cast("float").unsqueeze(2)
    low, high = (tape.constant(bound, "float") for bound in (-1.0, 1.0))
    angle = tape.op("Acos", tape.op("Clip", cosine, low, high))
    sine = tape.op("Sin", angle)
    # Nearly parallel or opposite vectors have no unique arc; the line also gives exact ends.
    ends = tape.op("Or", t.equal(0.0), t.equal(1.0), dtype="bool")
    curved = tape.op(
        "And", sine > float.fromhex("0x1.0624dep-10"), tape.op("Not", ends, dtype="bool")
    )
    divisor = tape.where(curved, sine, high)
    rest = high - t
    weight_a = tape.where(curved, tape.op("Sin", rest * angle) / divisor, rest)
    weight_b = tape.where(curved, tape.op("Sin", t * angle) / divisor, t)
    tape.op("Add", weight_a * a.unsqueeze(1), weight_b * b.unsqueeze(1), output="h")
