"""The vector field that a denoising autoencoder learns, and the one that it should.

Vincent, "A Connection Between Score Matching and Denoising Autoencoders", 2011; Alain & Bengio 2014
(arXiv:1211.4246): with Gaussian noise the best reconstruction is the mean of x given x̃,
r(x̃) = x̃ + σ² ∇ log p_σ(x̃), where p_σ is the density of the noisy data. Deep Learning, 2016,
figure 14.5.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from . import charts

NOISE = 0.25
"""σ, the standard deviation of the noise that is added to the data."""


def wave(count: int, seed: int) -> np.ndarray:
    """Return points [count, 2] on a period and a half of a sine."""
    across = np.random.default_rng(seed).uniform(-2, 2, count)
    return np.stack([across, np.sin(0.75 * np.pi * across)], axis=1)


def best_reconstruction(places: np.ndarray, points: np.ndarray, noise: float) -> np.ndarray:
    """Return E[x | x̃] at noisy places [m, 2] if x is one of the points [n, 2], all as likely."""
    squares = np.square(places[:, None] - points).sum(2)
    return softmax(-squares / (2 * noise**2), axis=1) @ points


def train(points: np.ndarray, noise: float, steps: int = 2000, seed: int = 0) -> nn.Module:
    """Train a denoising autoencoder of points [n, 2] by the squared error; return r."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2)
    )
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    clean = torch.tensor(points, dtype=torch.float32)
    for _ in range(steps):
        x = clean[torch.randint(len(clean), (256,))]
        loss = (network(x + noise * torch.randn_like(x)) - x).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network


@torch.no_grad()
def reconstruct(network: nn.Module, places: np.ndarray) -> np.ndarray:
    """Return r at places [m, 2]."""
    result: Tensor = network(torch.tensor(places, dtype=torch.float32))
    return result.double().numpy()


def draw(path: Path) -> None:
    """Draw r(x̃) - x̃ on a lattice, as learned and as it is best."""
    points = wave(1000, seed=0)
    network = train(points, NOISE)
    side = np.linspace(-2.4, 2.4, 25)
    places = np.stack(np.meshgrid(side, side), axis=2).reshape(-1, 2)
    learned = reconstruct(network, places) - places
    best = best_reconstruction(places, points, NOISE) - places
    near = np.linalg.norm(best, axis=1) < 3 * NOISE
    error = np.square(learned - best)[near].sum() / np.square(best)[near].sum()
    print(f"error of the field within 3σ of the data: {error:.1%} of its square")
    figure, (panels,) = charts.canvas(10, 4.2, 1, 2)
    for axes, arrows, title in (
        (panels[0], learned, "learned: g(f(x + n)) − (x + n)"),
        (panels[1], best, "best: E[x | x + n] − (x + n)"),
    ):
        axes.plot(*points.T, ".", color=charts.RED, ms=2, zorder=0)
        axes.quiver(
            *places[near].T, *arrows[near].T, color=charts.BLUE, angles="xy",
            scale_units="xy", scale=1.6, width=0.004,
        )  # fmt: skip
        axes.set(title=title, xlabel="x₁", aspect="equal", xlim=(-2.6, 2.6), ylim=(-1.9, 1.9))
    panels[0].set_ylabel("x₂")
    charts.save(figure, path)
