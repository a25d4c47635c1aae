"""Distances between sets of features: closed forms, other libraries, damaged real images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg

from oracles import fidelity
from zoo.data import DataSet
from zoo.errors import DataError
from zoo.evaluation import frechet, manifolds, scores
from zoo.evaluation.features import FeatureNetwork


@pytest.fixture(scope="module")
def clothes(network: FeatureNetwork, fashion_mnist: DataSet) -> list[np.ndarray]:
    """Features of two disjoint sets of a thousand real images, and those images."""
    images = np.array(fashion_mnist.test.images[:2000])
    return [network(images[:1000])[0], network(images[1000:])[0], images[:1000], images[1000:]]


def gaussian(seed: int, width: int = 6, rank: int | None = None) -> frechet.Gaussian:
    """Return a Gaussian of random mean and covariance."""
    random = np.random.default_rng(seed)
    factor = random.standard_normal((width, rank or width))
    return frechet.Gaussian(100, random.standard_normal(width), factor @ factor.T)


def test_frechet_of_gaussians_on_axes() -> None:
    """‖μ₁ - μ₂‖² + Σ (σ₁ - σ₂)² for covariances that commute."""
    one = frechet.Gaussian(9, np.array([1.0, 2.0]), np.diag([4.0, 9.0]))
    other = frechet.Gaussian(9, np.array([4.0, -2.0]), np.diag([1.0, 25.0]))
    assert frechet.distance(one, other) == pytest.approx(9 + 16 + 1 + 4)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    turned = [
        frechet.Gaussian(9, turn @ g.mean, turn @ g.covariance @ turn.T) for g in (one, other)
    ]
    assert frechet.distance(*turned) == pytest.approx(30)


@pytest.mark.parametrize("rank", [6, 3])
def test_frechet_against_the_matrix_square_root(rank: int) -> None:
    one, other = gaussian(0, rank=rank), gaussian(1, rank=rank)
    root = linalg.sqrtm(one.covariance @ other.covariance)
    step = one.mean - other.mean
    expected = step @ step + np.trace(one.covariance + other.covariance - 2 * root.real)
    # The root of a singular matrix is what is inexact.
    assert frechet.distance(one, other) == pytest.approx(expected, abs=1e-9 if rank == 6 else 1e-5)
    assert frechet.distance(other, one) == pytest.approx(frechet.distance(one, other), abs=1e-10)
    assert frechet.distance(one, one) == pytest.approx(0, abs=1e-10)


def test_frechet_of_fewer_images_than_features() -> None:
    """The null space of the covariance contributes no noise."""
    rows = np.random.default_rng(0).standard_normal((50, 400))
    assert frechet.distance(frechet.fit(rows), frechet.fit(rows)) == pytest.approx(0, abs=1e-9)
    moved = frechet.fit(rows + 1)
    assert frechet.distance(frechet.fit(rows), moved) == pytest.approx(400, rel=1e-9)


def test_frechet_against_torch_fidelity_and_torchmetrics(clothes: list[np.ndarray]) -> None:
    one, other = clothes[0], clothes[1] * 1.1
    (oracle,) = fidelity.load("metric_fid")
    statistics = [
        oracle.fid_features_to_statistics(torch.from_numpy(x).double()) for x in (one, other)
    ]
    expected = oracle.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert frechet.distance(frechet.fit(one), frechet.fit(other)) == pytest.approx(
        expected, abs=1e-3
    )
    assert scores.frechet(one, other) == pytest.approx(expected, abs=1e-3)


def test_moments_come_in_batches() -> None:
    """Equal to NumPy's for any batches; a mean far from zero loses no accuracy."""
    rows = np.random.default_rng(0).standard_normal((100, 5)) + 1e6
    moments = frechet.Moments(5)
    for start, end in ((0, 1), (1, 1), (1, 40), (40, 100)):
        moments.add(rows[start:end])
    found = moments.gaussian()
    assert found.count == 100 and found.mean == pytest.approx(rows.mean(0), rel=1e-12)
    assert found.covariance == pytest.approx(np.cov(rows, rowvar=False), rel=1e-6)


def test_frechet_of_bad_features() -> None:
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        frechet.fit(np.zeros((1, 3)))
    with pytest.raises(DataError, match=r"expected \[N, 3\], got \[2, 4\]"):
        frechet.Moments(3).add(np.zeros((2, 4)))
    with pytest.raises(DataError, match="finite"):
        frechet.fit(np.array([[0.0], [np.nan]]))
    with pytest.raises(DataError, match="one width, got 6 and 4"):
        frechet.distance(gaussian(0), gaussian(0, 4))


def mmd(x: np.ndarray, y: np.ndarray, gamma: float) -> float:
    """Return the unbiased estimate of squared MMD (Bińkowski et al. 2018, equation 4)."""
    n, m = len(x), len(y)
    xx, yy, xy = ((gamma * a @ b.T + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)
    return float(xx.sum() / (n * (n - 1)) + yy.sum() / (m * (m - 1)) - 2 * xy.mean())


def test_kernel_distance_against_numpy_and_torch_fidelity() -> None:
    """With subsets as large as the sets, every subset is the whole set."""
    random = np.random.default_rng(0)
    one, other = random.standard_normal((200, 8)), random.standard_normal((200, 8)) + 0.5
    found = scores.kernel(one, other, size=200)
    assert found.mean == pytest.approx(mmd(one, other, 1 / 8), rel=1e-4)
    assert found.std == pytest.approx(0, abs=1e-5)
    assert scores.kernel(one, other, gamma=0.3, size=200).mean == pytest.approx(
        mmd(one, other, 0.3), rel=1e-4
    )
    (oracle,) = fidelity.load("metric_kid")
    expected = oracle.kid_features_to_metric(
        torch.from_numpy(one), torch.from_numpy(other), kid_subsets=2, kid_subset_size=200,
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1, rng_seed=0, verbose=False,
    )  # fmt: skip
    assert found.mean == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-4)


def test_kernel_distance_draws_its_subsets_by_a_seed(
    clothes: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    monkeypatch.setattr(scores, "SUBSET", 100)
    one = scores.kernel(*clothes[:2], gamma=1e-4)
    assert torch.equal(torch.get_rng_state(), before), "nobody else's numbers are drawn"
    assert scores.kernel(*clothes[:2], gamma=1e-4) == one
    assert scores.kernel(*clothes[:2], gamma=1e-4, seed=1) != one


def test_inception_score_against_numpy() -> None:
    random = np.random.default_rng(0)
    p = random.dirichlet(np.full(5, 0.3), 40)
    many = np.concatenate([p] * 500)
    whole = np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
    assert scores.inception_score(many).mean == pytest.approx(whole, rel=0.01)


def test_torchmetrics_takes_a_network(network: FeatureNetwork, clothes: list[np.ndarray]) -> None:
    """With `feature=` our module it gives the distance measured from features directly."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    real, made = clothes[2][:300], clothes[3][:300]
    metric = FrechetInceptionDistance(feature=scores.FeatureModule(network))
    metric.set_dtype(torch.float64)
    for images, is_real in ((real, True), (made, False)):
        metric.update(torch.from_numpy(images).permute(0, 3, 1, 2), real=is_real)
    expected = frechet.distance(frechet.fit(clothes[0][:300]), frechet.fit(clothes[1][:300]))
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-4)
    score = InceptionScore(feature=scores.FeatureModule(network, logits=True))
    score.update(torch.from_numpy(made).permute(0, 3, 1, 2))
    assert 1 < float(score.compute()[0]) < 10


def test_scores_of_bad_features() -> None:
    one = np.zeros((1, 3))
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        scores.frechet(one, one)
    with pytest.raises(DataError, match=r"expected \[N, F\], got \[5, 4\]"):
        scores.kernel(np.zeros((5, 4)), np.zeros((5, 3)))


def brute_force(fake: np.ndarray, real: np.ndarray) -> manifolds.Manifolds:
    """Compute the definitions in float64 from all pairs at once."""

    def radii(rows: np.ndarray, k: int) -> np.ndarray:
        return np.sort(np.linalg.norm(rows[:, None] - rows, axis=2), axis=1)[:, k]

    distances = np.linalg.norm(fake[:, None] - real, axis=2)
    wide = radii(real, 5)
    return manifolds.Manifolds(
        (distances <= radii(real, 3)).any(1).mean(),
        (distances.T <= radii(fake, 3)).any(1).mean(),
        (distances <= wide).sum(1).mean() / 5,
        (distances.min(0) <= wide).mean(),
    )


def test_manifolds_against_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    real = random.standard_normal((90, 4)) + 50
    fake = random.standard_normal((70, 4)) * 0.8 + 50.3
    monkeypatch.setattr(manifolds, "_ROWS", 32)
    found, expected = manifolds.Manifold(real).compare(fake), brute_force(fake, real)
    assert (found.precision, found.recall) == (expected.precision, expected.recall)
    assert found.density == pytest.approx(expected.density, abs=1e-12)
    assert found.coverage == expected.coverage
    assert 0.3 < found.recall < found.precision < 1
    (oracle,) = fidelity.load("metric_prc")
    precision, recall = oracle.calculate_precision_recall_full(
        torch.from_numpy(fake), torch.from_numpy(real), 3, 10000
    )
    assert (precision, recall) == pytest.approx((found.precision, found.recall), abs=1e-6)


def test_manifolds_of_too_few() -> None:
    with pytest.raises(DataError, match="more than 5 images, got 5"):
        manifolds.Manifold(np.zeros((5, 2)))
    with pytest.raises(DataError, match=r"generated features: expected \[N, 2\], got \[9, 3\]"):
        manifolds.Manifold(np.zeros((9, 2))).compare(np.zeros((9, 3)))
