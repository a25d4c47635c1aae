"""The noise contract: known answers, the distribution, and independence of order.

tests/export/test_portable_ops.py compares interpolation with float64 and with the portable bodies.
"""

import numpy as np
import pytest
from scipy import special, stats

import runtime
from oracles.noise import RANDOM123, normals
from runtime import _runtime, noise

SEED = 20131220


@pytest.mark.parametrize(("counter", "key", "expected"), RANDOM123)
def test_known_answers(counter: list[int], key: list[int], expected: list[int]) -> None:
    assert noise.philox(counter, key).tolist() == expected


@pytest.mark.parametrize("width", [1, 3, 4, 32, 33])
@pytest.mark.parametrize(
    ("seed", "first", "stream"),
    [(0, 0, 0), (2**64 - 1, 2**32 - 3, 1), (2**63, 2**64 - 8, 2**32 - 1), (7, 12345, 5)],
)
def test_against_float64(seed: int, first: int, stream: int, width: int) -> None:
    got = noise.normals(seed, first, 8, width, stream)
    expected = normals(seed, first, 8, width, stream)
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
    eps = normals(4, 17, 50, 32, 3)
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
    assert np.isfinite(runtime.ops.reparametrized_sample(mu, np.full_like(mu, np.inf), 1, 0)).all()
