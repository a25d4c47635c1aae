"""The GAN on the line against proposition 1 and theorem 1 of Goodfellow et al. 2014."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import nn

from scripts.course import gan_1d
from scripts.course.gan_1d import LINE, SPACING

DATA, MADE = norm(1.0, 0.6), norm(0.0, 0.8)


def divergence() -> float:
    """Return the Jensen-Shannon divergence of DATA and MADE, by quadrature of its definition."""

    def integrand(x: float) -> float:
        p, q = DATA.pdf(x), MADE.pdf(x)
        return 0.5 * (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q)))

    return float(quad(integrand, -5, 5)[0])


def test_divergence_of_densities() -> None:
    p, q = DATA.pdf(LINE), MADE.pdf(LINE)
    assert gan_1d.jensen_shannon(p, q, SPACING) == pytest.approx(divergence(), abs=1e-5)
    assert gan_1d.jensen_shannon(p, p, SPACING) == 0
    left, right = (np.where(np.abs(LINE - at) < 1, 0.5, 0) for at in (-2, 2))
    nothing_shared = gan_1d.jensen_shannon(left, right, SPACING)
    assert nothing_shared == pytest.approx(math.log(2), rel=0.01)


def test_value_of_the_best_discriminator_is_the_divergence() -> None:
    real, fake = (torch.tensor(one.ppf((np.arange(50_000) + 0.5) / 50_000)) for one in (DATA, MADE))

    def scores(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor(DATA.logpdf(x) - MADE.logpdf(x))

    best = gan_1d.divergence_from_value(scores(real), scores(fake))
    assert best == pytest.approx(divergence(), abs=1e-3)
    for factor in (0.5, 2.0):
        other = gan_1d.divergence_from_value(factor * scores(real), factor * scores(fake))
        assert other < best - 0.01


def test_discriminator_learns_the_best_one() -> None:
    torch.manual_seed(0)
    discriminator = gan_1d.make_discriminator()
    optimizer = torch.optim.Adam(discriminator.parameters(), 1e-2)
    for _ in range(400):
        real, fake = 1 + 0.6 * torch.randn(512, 1), 0.8 * torch.randn(512, 1)
        gan_1d.train_discriminator(discriminator, optimizer, real, fake)
    p, q = DATA.pdf(LINE), MADE.pdf(LINE)
    with torch.no_grad():
        learned = torch.sigmoid(discriminator(torch.tensor(LINE).float()[:, None])).numpy().ravel()
    best = gan_1d.optimal_discriminator(p, q)
    seen = p + q > 0.05
    assert np.abs(learned - best)[seen].max() < 0.1
    assert gan_1d.optimal_discriminator(p, p) == pytest.approx(0.5)
    assert gan_1d.optimal_discriminator(np.zeros(1), np.zeros(1)) == 0.5


def test_states_are_those_of_the_densities() -> None:
    torch.manual_seed(0)
    generator, discriminator = nn.Linear(1, 1), gan_1d.make_discriminator()
    with torch.no_grad():
        generator.weight.fill_(-0.8)
        generator.bias.zero_()
    state = gan_1d.observe(7, generator, discriminator)
    np.testing.assert_allclose(state.p_g, MADE.pdf(LINE), atol=1e-6)
    assert state.exact == pytest.approx(divergence(), abs=1e-5)
    assert state.bound < state.exact
    for one, mean in ((DATA, state.real), (MADE, state.fake)):
        by_density = (one.pdf(LINE) * state.scores).sum() * SPACING
        assert mean == pytest.approx(by_density, abs=1e-3)
