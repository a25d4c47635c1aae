"""Translations and tangents against closed forms, densities and fields against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from scripts.course import denoising_field, tangent_gaussians, translation


def blob(down: float = 0.0) -> np.ndarray:
    """Return a round Gaussian of σ = 3 pixels, moved down from the middle of 28×28."""
    rows, columns = np.mgrid[:28, :28] - 13.5
    return np.exp(-((rows - down) ** 2 + columns**2) / 18)


def test_a_translated_blob_is_the_blob_elsewhere() -> None:
    for down in (-2.0, 0.0, 0.37, 3.5):
        np.testing.assert_allclose(translation.translate(blob(), down), blob(down), atol=2e-3)
    curve = translation.trace(blob(), np.array([0.0, 1.0]))
    assert curve.shape == (2, 784)
    np.testing.assert_allclose(curve[1, 28:], curve[0, :-28], atol=1e-12)


def test_tangent_is_the_derivative() -> None:
    rows = np.mgrid[:28, :28][0] - 13.5
    np.testing.assert_allclose(translation.tangent(blob()), rows / 9 * blob(), atol=2e-3)
    slope = translation.tangent(blob(), down=2.0)
    np.testing.assert_allclose(slope, (rows - 2) / 9 * blob(2.0), atol=2e-3)


def test_tangents_of_a_line() -> None:
    along = np.array([0.6, 0.8])
    points = np.random.default_rng(0).uniform(-1, 1, 40)[:, None] * along
    frames = tangent_gaussians.tangent_frames(points)
    np.testing.assert_allclose(np.abs(frames[:, 0] @ along), 1, atol=1e-9)
    np.testing.assert_allclose(frames[:, 1] @ along, 0, atol=1e-9)


def test_density_is_the_mean_of_the_gaussians() -> None:
    random = np.random.default_rng(0)
    points, places = random.normal(size=(5, 2)), random.normal(size=(7, 2))
    angles = random.uniform(0, np.pi, 5)
    frames = np.array([[[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in angles])
    expected = np.mean(
        [
            multivariate_normal(point, frame.T @ np.diag([0.25, 0.01]) @ frame).pdf(places)
            for point, frame in zip(points, frames, strict=True)
        ],
        axis=0,
    )
    got = tangent_gaussians.log_density(places, points, frames, (0.5, 0.1))
    np.testing.assert_allclose(np.exp(got), expected, rtol=1e-9)


def test_tangents_describe_a_spiral_better() -> None:
    points, validation, test = (
        tangent_gaussians.spiral(count, seed) for seed, count in enumerate((80, 200, 500))
    )
    frames = tangent_gaussians.tangent_frames(points)
    scores = []
    for round_ones in (True, False):
        widths = tangent_gaussians.choose_widths(validation, points, frames, round_ones)
        assert (widths[0] == widths[1]) == round_ones
        scores.append(tangent_gaussians.log_density(test, points, frames, widths).mean())
    assert scores[1] > scores[0] + 0.1


def test_best_reconstruction_follows_the_score() -> None:
    """r(x̃) - x̃ = σ² ∇ log p_σ(x̃), by central differences of the density."""
    points, places = np.random.default_rng(0).normal(size=(2, 6, 2))
    frames, noise, step = np.tile(np.eye(2), (6, 1, 1)), 0.4, 1e-5
    score = np.stack(
        [
            np.subtract(
                *(
                    tangent_gaussians.log_density(
                        places + sign * offset, points, frames, (noise,) * 2
                    )
                    for sign in (1, -1)
                )
            )
            / (2 * step)
            for offset in step * np.eye(2)
        ],
        axis=1,
    )
    field = denoising_field.best_reconstruction(places, points, noise) - places
    np.testing.assert_allclose(field, noise**2 * score, atol=1e-8)


def test_denoising_autoencoder_of_gaussian_data() -> None:
    """The best reconstruction of N(0, Σ) is Σ(Σ + σ²I)⁻¹ x̃."""
    deviations, noise = np.array([1.0, 0.2]), 0.5
    points = np.random.default_rng(0).normal(size=(4000, 2)) * deviations
    network = denoising_field.train(points, noise, steps=600)
    places = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-0.5, 0.0, 0.5]), axis=2).reshape(-1, 2)
    expected = places * deviations**2 / (deviations**2 + noise**2)
    got = denoising_field.reconstruct(network, places)
    assert np.abs(got - expected).max() < 0.08
    assert np.abs(places - expected).max() == pytest.approx(0.43, abs=0.01), "it moves points"
