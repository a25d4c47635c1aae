"""Portable operator bodies in stock ONNX Runtime, compared with independent oracles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import FunctionProto, TensorProto, helper

import runtime
from export import functions, reference
from export.portable import floats, integers
from export.portable.tape import Tape, Value
from oracles import interpolate as interpolate_oracle
from oracles import noise as noise_oracle

OPSET = 20
TYPES = {"float": TensorProto.FLOAT, "int": TensorProto.INT64}
Session = onnxruntime.InferenceSession


def session(graph: onnx.GraphProto, *bodies: FunctionProto, **settings: Any) -> Session:
    """Check a model, and open it in stock ONNX Runtime."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("zoo", 1)]
    model = helper.make_model(graph, opset_imports=opsets, functions=bodies, ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    for name, value in settings.items():
        if name == "library":
            options.register_custom_ops_library(value)
        else:
            setattr(options, name, value)
    return Session(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def of_tape(make: Callable[..., tuple[Value, ...]], **inputs: tuple[str, list[Any]]) -> Session:
    """Open the graph that `make` writes for inputs name=(dtype, shape).

    Outputs have the shape of the first input.
    """
    tape = Tape()
    shape = next(iter(inputs.values()))[1]
    results = make(*(tape.input(name, dtype) for name, (dtype, _) in inputs.items()))
    graph = helper.make_graph(
        tape.nodes,
        "tape",
        [helper.make_tensor_value_info(n, TYPES[d], s) for n, (d, s) in inputs.items()],
        [helper.make_tensor_value_info(r.name, TYPES[r.dtype], shape) for r in results],
    )
    return session(graph)


def sampler(stream: int | None = None, **settings: Any) -> Session:
    """Open a graph of one ReparametrizedSample node."""
    attributes = {} if stream is None else {"stream": stream}
    node = helper.make_node(
        "ReparametrizedSample",
        ["mu", "logvar", "seed", "first"],
        ["h"],
        domain="zoo",
        **attributes,
    )
    rows = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", "D"]) for n in ("mu", "logvar")
    ]
    words = [helper.make_tensor_value_info(n, TensorProto.INT64, ["K"]) for n in ("seed", "first")]
    output = helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", "D"])
    graph = helper.make_graph([node], "sampler", rows + words, [output])
    return session(graph, functions.reparametrized_sample(OPSET), **settings)


def words(*values: int) -> NDArray[np.int64]:
    """Return the int64 tensor with the bits of unsigned 64-bit numbers."""
    return np.array(values, np.uint64).view(np.int64)


def draw(
    body: Session,
    rows: int,
    width: int,
    seed: int,
    first: int,
    mu: NDArray[np.float32] | None = None,
    logvar: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Run a sampler; mu and logvar are 0 by default."""
    zeros = np.zeros((rows, width), np.float32)
    inputs = {
        "mu": zeros if mu is None else mu,
        "logvar": zeros if logvar is None else logvar,
        "seed": words(seed),
        "first": words(first),
    }
    (result,) = body.run(None, inputs)
    assert result.dtype == np.float32 and result.shape == (rows, width)
    return result


def assert_same_bits(got: NDArray[Any], expected: NDArray[Any]) -> None:
    """Require equal bits, including the sign of zero and NaN."""
    assert got.dtype == expected.dtype == np.float32 and got.shape == expected.shape
    words = [np.ascontiguousarray(x).view(np.uint32) for x in (got, expected)]
    np.testing.assert_array_equal(*words)


@pytest.fixture(scope="module")
def body() -> Session:
    """A sampler with the default attribute."""
    return sampler()


@pytest.fixture(scope="module")
def philox() -> Session:
    """The ten rounds of the body: even [2, N, B], odd [2, N, B], key [2, 1, 1]."""
    plane = [2, "N", "B"]
    return of_tape(integers.philox, even=("int", plane), odd=("int", plane), key=("int", [2, 1, 1]))


@pytest.mark.parametrize(("counter", "key", "expected"), noise_oracle.RANDOM123)
def test_known_answers(
    philox: Session, counter: list[int], key: list[int], expected: list[int]
) -> None:
    """Random123's vectors, in the body, its NumPy mirror and the oracle."""
    words = np.array(counter, np.int64).reshape(2, 2).T.reshape(2, 2, 1, 1)
    even, odd = philox.run(
        None, {"even": words[0], "odd": words[1], "key": np.array(key).reshape(2, 1, 1)}
    )
    assert [even[0, 0, 0], odd[0, 0, 0], even[1, 0, 0], odd[1, 0, 0]] == expected
    arrays = [np.array([value], np.uint32) for value in counter]
    mirror = reference.philox((arrays[0], arrays[1], arrays[2], arrays[3]), (key[0], key[1]))
    assert [int(value[0]) for value in mirror] == expected
    oracle = noise_oracle.philox(np.array(counter, np.uint32), np.array(key, np.uint32))
    assert oracle.tolist() == expected


def test_philox_on_random_counters(philox: Session) -> None:
    """100,000 counters under one key."""
    random = np.random.default_rng(0)
    counters = random.integers(0, 2**32, (100_000, 4), dtype=np.uint32)
    key = random.integers(0, 2**32, 2, dtype=np.uint32)
    planes = counters.T.astype(np.int64)[:, None]
    even, odd = philox.run(
        None, {"even": planes[::2], "odd": planes[1::2], "key": key.astype(np.int64)[:, None, None]}
    )
    got = np.stack([even[0, 0], odd[0, 0], even[1, 0], odd[1, 0]], axis=-1)
    np.testing.assert_array_equal(got, noise_oracle.philox(counters, key))


def test_product_of_words_through_halves() -> None:
    """Both words of 64-bit products at the edges, compared with Python's integers."""
    edges = [0, 1, 0xFFFF, 0x10000, 0x10001, 0x7FFFFFFF, 0x80000000, 0xFFFF0000, 0xFFFFFFFF]
    product = of_tape(integers.multiply, word=("int", ["N"]), factor=("int", ["N"]))
    left, right = np.meshgrid(edges, edges + list(integers.MULTIPLIERS))
    low, high = product.run(
        None, {"word": left.ravel().astype(np.int64), "factor": right.ravel().astype(np.int64)}
    )
    exact = [int(a) * int(b) for a, b in zip(left.ravel(), right.ravel(), strict=True)]
    assert low.tolist() == [n % 2**32 for n in exact]
    assert high.tolist() == [n // 2**32 for n in exact]


BOUNDARIES = [
    (0, 0),
    (1, 2**32 - 3),
    (2**32, 2**63 - 2),
    (2**63, 2**63),
    (2**63 + 12345, 2**33 - 1),
    (2**64 - 1, 2**64 - 3),
]


@pytest.mark.parametrize(("seed", "first"), BOUNDARIES)
@pytest.mark.parametrize("width", [1, 3, 4, 5, 32, 33])
def test_noise_follows_the_contract(body: Session, seed: int, first: int, width: int) -> None:
    """Within 1e-6 of float64, and bit-equal to the mirror; rows cross 2^32, 2^63 and 2^64."""
    got = draw(body, 6, width, seed, first)
    expected = noise_oracle.normals(seed, first, 6, width)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=0)
    assert_same_bits(got, reference.normals(seed, first, 6, width))


@pytest.mark.parametrize("width", [1, 4, 7, 64])
@pytest.mark.parametrize("native", [False, True])
def test_each_row_may_have_a_key_of_its_own(native: bool, width: int) -> None:
    """Row r is that of a run of its own, for keys in any order and at the ends of both ranges."""
    keys = [*BOUNDARIES, *((2**64 - 1 - seed, first) for seed, first in BOUNDARIES), (1, 2), (1, 2)]
    seeds, firsts = zip(*keys, strict=True)
    zeros = np.zeros((len(keys), width), np.float32)
    settings = {"library": str(runtime.ops.ops_library())} if native else {}
    feed = {"mu": zeros, "logvar": zeros, "seed": words(*seeds), "first": words(*firsts)}
    got = sampler(5, **settings).run(None, feed)[0]
    rows = [reference.normals(seed, first, 1, width, 5) for seed, first in keys]
    assert_same_bits(got, np.concatenate(rows))
    assert_same_bits(runtime.ops.reparametrized_sample(zeros, zeros, stream=5, keys=keys), got)


BAD_KEYS = [(3, 3), (2, 2), (0, 0)]


# The body broadcasts seed or first alone.
@pytest.mark.parametrize(
    ("native", "seeds", "firsts"),
    [*((False, *lengths) for lengths in BAD_KEYS)]
    + [*((True, *lengths) for lengths in [*BAD_KEYS, (4, 1), (1, 4)])],
)
def test_keys_must_be_one_or_those_of_all_rows(native: bool, seeds: int, firsts: int) -> None:
    settings = {"library": str(runtime.ops.ops_library())} if native else {}
    zeros = np.zeros((4, 8), np.float32)
    feed = {"seed": words(*range(seeds)), "first": words(*range(firsts))}
    with pytest.raises(Exception, match=r"ReparametrizedSample|broadcast|[Ss]hape|dimension"):
        sampler(**settings).run(None, {"mu": zeros, "logvar": zeros, **feed})


@pytest.mark.parametrize("stream", [0, 1, 77, 2**31, 2**32 - 1])
def test_streams(body: Session, stream: int) -> None:
    """The attribute is the second word of the counter, 0 by default."""
    got = draw(sampler(stream), 3, 9, 5, 6)
    np.testing.assert_allclose(got, noise_oracle.normals(5, 6, 3, 9, stream), rtol=1e-6)
    assert_same_bits(got, reference.normals(5, 6, 3, 9, stream))
    assert np.array_equal(got, draw(body, 3, 9, 5, 6)) == (stream == 0)


def test_a_million_normals(body: Session) -> None:
    """Bit-equal to the mirror and the native kernel, and within a few ulp of float64."""
    seed, first, rows, width = 99, 2**32 - 1000, 31_250, 32
    got = draw(body, rows, width, seed, first)
    assert_same_bits(got, reference.normals(seed, first, rows, width))
    assert_same_bits(got, runtime.noise.normals(seed, first, rows, width))
    expected = noise_oracle.normals(seed, first, rows, width)
    # In units in the last place of each number, which is strict near 0.
    ulp = np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(got - expected) / ulp) < 6
    ideal = noise_oracle.normals(seed, first, rows, width, uniform_as_float32=False)
    assert np.max(np.abs(got - ideal)) < 1e-3
    assert abs(got.mean()) < 5e-3 and abs(got.std() - 1) < 5e-3


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC", "ORT_ENABLE_ALL"])
def test_optimizer_keeps_the_bits(level: str) -> None:
    """Fusion and folding in ONNX Runtime change no bit."""
    optimized = sampler(graph_optimization_level=getattr(onnxruntime.GraphOptimizationLevel, level))
    assert_same_bits(draw(optimized, 500, 33, 3, 4), reference.normals(3, 4, 500, 33))


def test_native_kernel_replaces_the_body(body: Session) -> None:
    """The registered library runs the node, with the same bits."""
    native = sampler(library=str(runtime.ops.ops_library()))
    random = np.random.default_rng(1)
    mu = random.standard_normal((64, 33), np.float32)
    logvar = random.uniform(-200, 200, (64, 33)).astype(np.float32)
    rows = {"mu": mu, "logvar": logvar}
    portable = draw(body, 64, 33, 2**63 + 7, 2**32 - 9, **rows)
    assert_same_bits(draw(native, 64, 33, 2**63 + 7, 2**32 - 9, **rows), portable)
    assert_same_bits(runtime.ops.reparametrized_sample(mu, logvar, 2**63 + 7, 2**32 - 9), portable)


def test_posterior_against_float64(body: Session) -> None:
    """h = mu + exp(logvar/2) eps."""
    random = np.random.default_rng(2)
    mu = random.standard_normal((1000, 8), np.float32)
    logvar = random.uniform(-30, 10, (1000, 8)).astype(np.float32)
    got = draw(body, 1000, 8, 1, 2, mu, logvar)
    spread = np.exp(logvar.astype(np.float64) / 2) * noise_oracle.normals(1, 2, 1000, 8)
    error = np.abs(got - (mu + spread))
    assert np.max(error / (np.abs(mu) + np.abs(spread))) < 1e-6
    assert_same_bits(got, reference.reparametrized_sample(mu, logvar, 1, 2))


def test_log_variance_of_minus_infinity_disables_noise(body: Session) -> None:
    """mu passes unchanged, which is how latents are decoded."""
    mu = np.random.default_rng(3).standard_normal((50, 6), np.float32)
    mu[0, :3] = np.float32(1e-45), np.float32(3e38), np.float32(-1e-38)
    off = np.full_like(mu, -np.inf)
    assert_same_bits(draw(body, 50, 6, 1, 2, mu, off), mu)


def test_exponential() -> None:
    """Within 2 ulp of float64; 0 below -87, constant above 88, NaN for NaN."""
    exp = of_tape(lambda x: (floats.exp(x),), x=("float", ["N"]))
    x = np.linspace(-87, 88, 400_001).astype(np.float32)
    got = exp.run(None, {"x": x})[0]
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(got - exact) / np.spacing(exact.astype(np.float32))) < 2
    assert_same_bits(got, reference.exp(x))
    below, above = np.nextafter(np.float32(-87), np.float32(-100)), np.float32(88.5)
    edges = np.array([0, -0.0, -87, below, -1e30, -np.inf, 88, above, np.inf, np.nan], np.float32)
    got = exp.run(None, {"x": edges})[0]
    assert got[:2].tolist() == [1, 1] and got[3:6].tolist() == [0, 0, 0] and got[2] > 0
    assert got[6] == got[7] == got[8] and np.isfinite(got[6]) and np.isnan(got[9])


def test_logarithm_of_every_exponent() -> None:
    """Within 2 ulp at the powers of two, their neighbours and around sqrt(1/2)."""
    log = of_tape(lambda x: (floats.log(x),), x=("float", ["N"]))
    powers = np.float32(2) ** -np.arange(0, 34, dtype=np.float32)
    half = np.float32(np.sqrt(0.5)) * powers
    random = np.random.default_rng(4).uniform(0, 1, 100_000).astype(np.float32) + 2**-33
    near = [np.nextafter(p, np.float32(s)) for p in (powers, half) for s in (0, 1)]
    x = np.concatenate([powers, half, *near, np.minimum(random, np.float32(1))]).astype(np.float32)
    got = log.run(None, {"x": x})[0]
    exact = np.log(x.astype(np.float64))
    assert np.max(np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32))) < 2
    assert_same_bits(got, reference.log(x))


def test_sine_and_cosine_of_a_turn() -> None:
    """Within 2 ulp at the quarter turns and over the circle, near zeros too."""
    circle = of_tape(floats.sincos_turn, turn=("int", ["N"]))
    corners = [(k << 29) + d for k in range(8) for d in (-2, -1, 0, 1, 2)]
    turns = np.concatenate(
        [np.array(corners) % 2**32, np.random.default_rng(5).integers(0, 2**32, 100_000)]
    )
    sine, cosine = circle.run(None, {"turn": turns})
    quarter = np.rint(turns / 2**30)
    rest = (turns + 0.5 - quarter * 2**30) * (2 * np.pi / 2**32)
    index = quarter.astype(int) % 4
    s, c = np.sin(rest), np.cos(rest)
    for got, exact in (
        (sine, np.choose(index, [s, c, -s, -c])),
        (cosine, np.choose(index, [c, -s, -c, s])),
    ):
        assert np.max(np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32))) < 3
    mirror = reference.sincos_turn(turns.astype(np.uint32))
    assert_same_bits(sine, mirror[0])
    assert_same_bits(cosine, mirror[1])


@pytest.mark.parametrize(
    "make",
    [
        functions.reparametrized_sample,
        lambda opset: functions.batched_interpolate("linear", opset),
    ],
)
def test_only_exactly_rounded_standard_operators(make: Callable[[int], FunctionProto]) -> None:
    """No function whose last bit differs between machines, and the opset of the model."""
    function = make(OPSET)
    allowed = set(
        "Add BitwiseAnd BitwiseXor Cast Concat Constant Div Equal Expand Floor Gather Greater "
        "IsNaN Less Mul Neg Range Reshape Shape Slice Sqrt Sub Transpose Unsqueeze Where".split()
    )
    assert {node.op_type for node in function.node} <= allowed
    assert {node.domain for node in function.node} == {""}
    assert [(entry.domain, entry.version) for entry in function.opset_import] == [("", OPSET)]
    assert make(18).opset_import[0].version == 18


def interpolator(mode: str, **settings: Any) -> Session:
    """Open a graph of one BatchedInterpolate node."""
    node = helper.make_node("BatchedInterpolate", ["a", "b", "t"], ["h"], domain="zoo", mode=mode)
    graph = helper.make_graph(
        [node],
        "interpolator",
        [
            helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", "D"]),
            helper.make_tensor_value_info("b", TensorProto.FLOAT, ["N", "D"]),
            helper.make_tensor_value_info("t", TensorProto.FLOAT, ["S"]),
        ],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", "S", "D"])],
    )
    return session(graph, functions.batched_interpolate(mode, OPSET), **settings)


def interpolate(path: Session, a: Any, b: Any, t: Any) -> NDArray[np.float32]:
    inputs = {"a": a, "b": b, "t": t}
    return path.run(None, {name: np.asarray(value, np.float32) for name, value in inputs.items()})[
        0
    ]


def points(rows: int, width: int, unit: bool = False) -> list[NDArray[np.float32]]:
    """Return two random matrices, with rows of length 1 if `unit`."""
    matrices = [
        np.random.default_rng(seed).standard_normal((rows, width), np.float32) for seed in (6, 7)
    ]
    if unit:
        matrices = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in matrices]
    return matrices


@pytest.mark.parametrize("width", [1, 3, 32, 33])
def test_linear_path(width: int) -> None:
    """Compare with the line in float64, the bits of the kernel, and both ends."""
    a, b = points(9, width)
    a[0], b[0] = 1e8, 1e-8
    t = np.linspace(0, 1, 13, dtype=np.float32)
    got = interpolate(interpolator("linear"), a, b, t)
    exact = interpolate_oracle.linear(a, b, t)
    size = np.maximum(np.abs(a), np.abs(b))[:, None].astype(np.float64)
    assert np.max(np.abs(got - exact) / size) < 2.0**-22
    assert_same_bits(got, runtime.ops.batched_interpolate(a, b, t))
    assert_same_bits(got[:, 0], a)
    assert_same_bits(got[:, -1], b)
    native = interpolator("linear", library=str(runtime.ops.ops_library()))
    assert_same_bits(interpolate(native, a, b, t), got)


@pytest.mark.parametrize("width", [2, 32, 33])
def test_spherical_path(width: int) -> None:
    """Compare with the rotation in float64, the kernel, the length, and both ends."""
    a, b = points(20, width, unit=True)
    t = np.linspace(0, 1, 11, dtype=np.float32)
    path = interpolator("spherical")
    got = interpolate(path, a, b, t)
    np.testing.assert_allclose(got, interpolate_oracle.spherical(a, b, t), atol=2e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=2), 1, atol=2e-5)
    assert_same_bits(got[:, 0], a)
    assert_same_bits(got[:, -1], b)
    kernel = runtime.ops.batched_interpolate(a, b, t, "spherical")
    np.testing.assert_allclose(got, kernel, atol=2e-5)


def test_spherical_path_falls_back_to_the_line() -> None:
    """Parallel, opposite and zero vectors have no unique great arc."""
    a = np.array([[1, 2, 3], [1, 2, 3], [0, 0, 0], [0, 0, 0]], np.float32)
    b = np.array([[2, 4, 6], [-1, -2, -3], [1, 0, 2], [0, 0, 0]], np.float32)
    t = np.array([0, 0.25, 0.5, 1], np.float32)
    got = interpolate(interpolator("spherical"), a, b, t)
    np.testing.assert_allclose(got, interpolate_oracle.linear(a, b, t), atol=1e-6)
    kernel = runtime.ops.batched_interpolate(a, b, t, "spherical")
    np.testing.assert_allclose(kernel, got, atol=1e-6)


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="cubic"):
        functions.batched_interpolate("cubic", OPSET)  # type: ignore[arg-type]
