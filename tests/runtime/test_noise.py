"""The noise contract: known answers, the distribution, and independence of order.

Random123's vectors are also checked in C++ (csrc/tests/noise_test.cc).
"""

import numpy as np
import pytest
from scipy import special, stats

import runtime
from runtime import _runtime, noise
from runtime.errors import ArgumentError

SEED = 20131220


def test_random123_known_answers() -> None:
    """kat_vectors of Random123, philox4x32 with 10 rounds."""
    assert noise.philox([0] * 4, [0] * 2).tolist() == [
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    ]
    assert noise.philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2).tolist() == [
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    ]
    counter = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]
    assert noise.philox(counter, [0xA4093822, 0x299F31D0]).tolist() == [
        0xD16CFE09,
        0x94FDCCEB,
        0x5001E420,
        0x24126EA1,
    ]


def normals_in_float64(seed: int, first: int, n: int, width: int, stream: int) -> np.ndarray:
    """The contract's formulas in NumPy: Python integers for Philox, float64 for Box-Muller."""
    out = np.empty((n, width))
    mask = 0xFFFFFFFF
    for row in range(n):
        sample = (first + row) % 2**64
        for block in range((width + 3) // 4):
            c = [block, stream, sample & mask, sample >> 32]
            k = [seed & mask, seed >> 32]
            for _ in range(10):
                p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
                k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
            for pair in (0, 1):
                u = (c[2 * pair] + 0.5) / 2**32
                angle = 2 * np.pi * (c[2 * pair + 1] + 0.5) / 2**32
                radius = np.sqrt(-2 * np.log(u))
                for lane, value in enumerate((radius * np.sin(angle), radius * np.cos(angle))):
                    element = 4 * block + 2 * pair + lane
                    if element < width:
                        out[row, element] = value
    return out


@pytest.mark.parametrize("width", [1, 3, 4, 32, 33])
@pytest.mark.parametrize(
    ("seed", "first", "stream"),
    [(0, 0, 0), (2**64 - 1, 2**32 - 3, 1), (2**63, 2**64 - 8, 2**32 - 1), (7, 12345, 5)],
)
def test_against_float64(seed: int, first: int, stream: int, width: int) -> None:
    got = noise.normals(seed, first, 8, width, stream)
    expected = normals_in_float64(seed, first, 8, width, stream)
    # float32 rounds u and the angle to 24 bits, as cuRAND does.
    np.testing.assert_allclose(got, expected, rtol=3e-6, atol=2e-6)


@pytest.fixture(scope="module")
def ten_million() -> np.ndarray:
    return noise.normals(SEED, 0, 312_500, 32)


def test_moments(ten_million: np.ndarray) -> None:
    """The first six moments of 10^7 numbers are within five standard errors of N(0, 1)'s."""
    values = ten_million.ravel().astype(np.float64)
    assert values.size == 10_000_000
    for order in range(1, 7):
        moment = np.mean(values**order)
        expected = 0.0 if order % 2 else special.factorial2(order - 1)
        variance = special.factorial2(2 * order - 1) - expected**2
        assert abs(moment - expected) < 5 * np.sqrt(variance / values.size), order


def test_kolmogorov_smirnov(ten_million: np.ndarray) -> None:
    assert stats.kstest(ten_million.ravel(), "norm").pvalue > 1e-3


def test_tails(ten_million: np.ndarray) -> None:
    """Counts beyond 3, 4 and 5 sigma agree with the normal distribution."""
    for sigma in (3.0, 4.0, 5.0):
        expected = 2 * stats.norm.sf(sigma) * ten_million.size
        count = np.count_nonzero(np.abs(ten_million) > sigma)
        assert stats.poisson.cdf(count, expected) > 1e-4
        assert stats.poisson.sf(count - 1, expected) > 1e-4


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation in standard errors."""
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(np.mean(a * b) * np.sqrt(a.size))


def test_independence(ten_million: np.ndarray) -> None:
    """No correlation, of values or of squares, across samples, elements, streams and seeds."""
    other_stream = noise.normals(SEED, 0, 312_500, 32, stream=1)
    other_seed = noise.normals(SEED + 1, 0, 312_500, 32)
    pairs = {
        "samples": (ten_million[:-1], ten_million[1:]),
        "elements": (ten_million[:, :-1], ten_million[:, 1:]),
        "Box-Muller pairs": (ten_million[:, ::2], ten_million[:, 1::2]),
        "streams": (ten_million, other_stream),
        "seeds": (ten_million, other_seed),
    }
    for name, (a, b) in pairs.items():
        assert abs(correlation(a, b)) < 5, name
        assert abs(correlation(a**2 - 1, b**2 - 1) / 2) < 5, name


def test_element_is_a_pure_function() -> None:
    """Neither the rows asked for at once, nor the width, change an element."""
    block = noise.normals(3, 1000, 64, 33, stream=2)
    for row in (0, 1, 63):
        single = noise.normal(3, 1000 + row, 2, 33)
        assert np.array_equal(single, block[row])
    assert np.array_equal(noise.normals(3, 1000, 64, 7, stream=2), block[:, :7])
    assert np.array_equal(noise.normals(3, 1010, 10, 33, stream=2), block[10:20])


def test_every_instruction_set_gives_the_same_bits() -> None:
    best = noise.kernel_isa()
    expected = noise.normals(5, 2**32 - 50, 100, 37)
    mu, logvar = expected + 1, np.clip(expected * 20, -90, 90)
    h = runtime.ops.reparametrized_sample(mu, logvar, 5, 9)
    tried = []
    try:
        for isa in ("avx512", "avx2", "baseline"):
            if _runtime.use_noise_kernel_isa(isa):
                tried.append(isa)
                assert noise.normals(5, 2**32 - 50, 100, 37).tobytes() == expected.tobytes()
                again = runtime.ops.reparametrized_sample(mu, logvar, 5, 9)
                assert again.tobytes() == h.tobytes()
    finally:
        _runtime.use_noise_kernel_isa(best)
    assert "baseline" in tried and best in tried


def test_reparametrized_sample_against_float64() -> None:
    rng = np.random.default_rng(1)
    mu = rng.normal(size=(50, 32)).astype(np.float32)
    logvar = rng.uniform(-20, 5, size=(50, 32)).astype(np.float32)
    h = runtime.ops.reparametrized_sample(mu, logvar, seed=4, first=17, stream=3)
    eps = normals_in_float64(4, 17, 50, 32, 3)
    np.testing.assert_allclose(
        h, mu + np.exp(0.5 * logvar.astype(float)) * eps, rtol=1e-5, atol=2e-5
    )


def test_log_variance_limits() -> None:
    mu = np.float32([[1.5, -2.0, 0.25]])
    switched_off = runtime.ops.reparametrized_sample(mu, np.full_like(mu, -np.inf), 1, 0)
    assert np.array_equal(switched_off, mu)
    prior = runtime.ops.reparametrized_sample(np.zeros_like(mu), np.zeros_like(mu), 1, 0)
    assert np.array_equal(prior[0], noise.normal(1, 0, 0, 3))
    assert np.isnan(runtime.ops.reparametrized_sample(mu, np.full_like(mu, np.nan), 1, 0)).all()


def test_interpolation_against_float64() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 5, 16)).astype(np.float32)
    t = np.linspace(0, 1, 11, dtype=np.float32)
    linear = runtime.ops.batched_interpolate(a, b, t)
    exact = a[:, None].astype(float) + (b - a)[:, None].astype(float) * t[:, None].astype(float)
    np.testing.assert_allclose(linear, exact, rtol=1e-5, atol=1e-6)
    assert np.array_equal(linear[:, 0], a) and np.array_equal(linear[:, -1], b)

    spherical = runtime.ops.batched_interpolate(a, b, t, mode="spherical")
    a64, b64 = a.astype(float), b.astype(float)
    norms = np.linalg.norm(a64, axis=1) * np.linalg.norm(b64, axis=1)
    omega = np.arccos((a64 * b64).sum(axis=1) / norms)[:, None, None]
    s = t.astype(float)[None, :, None]
    expected = (np.sin((1 - s) * omega) * a64[:, None] + np.sin(s * omega) * b64[:, None]) / np.sin(
        omega
    )
    np.testing.assert_allclose(spherical, expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(spherical[:, 0], a) and np.array_equal(spherical[:, -1], b)


def test_spherical_interpolation_keeps_the_norm() -> None:
    """On the sphere of radius 4, slerp stays on it; the line cuts through."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 8, 16))
    a, b = (4 * v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
    h = runtime.ops.batched_interpolate(a, b, np.linspace(0, 1, 9), mode="spherical")
    np.testing.assert_allclose(np.linalg.norm(h, axis=2), 4, rtol=1e-5)
    parallel = runtime.ops.batched_interpolate(a, a, [0.5], mode="spherical")
    np.testing.assert_allclose(parallel[:, 0], a, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: noise.normals(-1, 0, 1, 4), "seed: expected an integer of 64 bits"),
        (lambda: noise.normals(2**64, 0, 1, 4), "seed"),
        (lambda: noise.normals(1.5, 0, 1, 4), "seed: expected an integer, got 1.5"),
        (lambda: noise.normals(True, 0, 1, 4), "seed"),
        (lambda: noise.normals(0, 0, 0, 4), "n: expected at least 1, got 0"),
        (lambda: noise.normals(0, 2**64 - 1, 2, 4), "64 bits"),
        (lambda: noise.normals(0, 0, 1, 4, stream=2**32), "stream"),
        (lambda: noise.philox([0] * 3, [0] * 2), "counter"),
        (lambda: noise.philox([0] * 4, [0, 2**32]), "key"),
        (lambda: noise.philox([0, 0, 0, -1], [0] * 2), "counter"),
        (lambda: noise.normal(0, -1, 0, 4), "sample: expected"),
        (lambda: noise.normal(0, 0, 0, 0), "count: expected"),
        (lambda: runtime.ops.reparametrized_sample([[1.0]], [[1.0, 2.0]], 0, 0), "logvar"),
        (lambda: runtime.ops.batched_interpolate([[1.0]], [[2.0]], [0.5], "cubic"), "cubic"),
        (lambda: runtime.ops.batched_interpolate([["x"]], [[2.0]], [0.5]), "expected numbers"),
    ],
)
def test_bad_arguments(call, part: str) -> None:
    with pytest.raises(ArgumentError, match=part.replace("*", r"\*")):
        call()
