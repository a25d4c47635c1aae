"""A GAN on the line, where p_data, p_G and the best discriminator are known.

The generator is G(z) = a·z + b with z ~ N(0, 1), so that p_G is N(b, a²); D is a perceptron.

Goodfellow et al. 2014 (arXiv:1406.2661): the game of equation 1, the best discriminator of
proposition 1, the Jensen-Shannon divergence of theorem 1, and figure 1.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.training.games import GAMES

from . import charts
from .charts import BLUE, GREEN, GREY

MEAN, DEVIATION = 1.0, 0.6
"""p_data is N(MEAN, DEVIATION²)."""

LINE = np.linspace(-3.5, 3.5, 701)
"""Places x at which densities and D(x) are computed."""

SPACING = LINE[1] - LINE[0]
STEPS = 1200
UPDATES = 5
"""k, updates of the discriminator before one of the generator."""

BATCH = 256
QUANTILES = torch.special.ndtri((torch.arange(10_000) + 0.5) / 10_000)[:, None]
"""Even quantiles of N(0, 1), over which averages are taken."""


def optimal_discriminator(p_data: np.ndarray, p_g: np.ndarray) -> np.ndarray:
    """Return p_data / (p_data + p_G), proposition 1, and ½ where both densities vanish."""
    total = p_data + p_g
    return np.divide(p_data, total, out=np.full_like(total, 0.5), where=total > 0)


def jensen_shannon(p: np.ndarray, q: np.ndarray, spacing: float) -> float:
    """Return the Jensen-Shannon divergence in nats of densities on a grid of this spacing."""

    def relative_entropy(one: np.ndarray, other: np.ndarray) -> float:
        seen = one > 0
        return float((one[seen] * np.log(one[seen] / other[seen])).sum() * spacing)

    middle = (p + q) / 2
    return (relative_entropy(p, middle) + relative_entropy(q, middle)) / 2


def divergence_from_value(real_scores: Tensor, fake_scores: Tensor) -> float:
    """Return (V(D, G) + log 4) / 2 of logits: the divergence if D is the best, else less.

    Theorem 1: max over D of V(D, G) is -log 4 + 2 JSD(p_data ‖ p_G).
    """
    value = -GAMES["minimax"].discriminator(real_scores, fake_scores)
    return (float(value) + math.log(4)) / 2


def normal_density(mean: float, deviation: float) -> np.ndarray:
    """Return the density of N(mean, deviation²) at the places of LINE."""
    standard = (LINE - mean) / deviation
    return np.exp(-(standard**2) / 2) / (deviation * math.sqrt(2 * math.pi))


def make_discriminator() -> nn.Sequential:
    """Return D, from numbers [N, 1] to logits [N, 1]."""
    return nn.Sequential(
        nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
    )


def train_discriminator(
    discriminator: nn.Module, optimizer: Any, real: Tensor, fake: Tensor
) -> None:
    """Update D once on as many real and fake numbers [N, 1]."""
    loss = GAMES["minimax"].discriminator(discriminator(real), discriminator(fake.detach()))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@dataclass(frozen=True)
class State:
    """State of the game after `step` updates of G(z) = `slope`·z + `shift`.

    `p_g` is its density and `scores` are D(x), both on LINE; `bound` is the divergence by V(D, G),
    `exact` that of the densities; `real` and `fake` are the means of D(x) and D(G(z)).
    """

    step: int
    slope: float
    shift: float
    p_g: np.ndarray
    scores: np.ndarray
    bound: float
    exact: float
    real: float
    fake: float


@torch.no_grad()
def observe(step: int, generator: nn.Linear, discriminator: nn.Module) -> State:
    """Return the state of the game."""
    real_scores = discriminator(MEAN + DEVIATION * QUANTILES)
    fake_scores = discriminator(generator(QUANTILES))
    slope, shift = float(generator.weight), float(generator.bias)
    p_g = normal_density(shift, abs(slope))
    places = torch.tensor(LINE, dtype=torch.float32)[:, None]
    return State(
        step,
        slope,
        shift,
        p_g,
        torch.sigmoid(discriminator(places)).numpy().ravel(),
        divergence_from_value(real_scores, fake_scores),
        jensen_shannon(normal_density(MEAN, DEVIATION), p_g, SPACING),
        float(torch.sigmoid(real_scores).mean()),
        float(torch.sigmoid(fake_scores).mean()),
    )


@functools.cache
def play(seed: int = 0) -> tuple[State, ...]:
    """Train by algorithm 1 with a learning rate that falls to zero; return all states observed.

    The first two are those before the first update of G, with D untrained and D trained for long.
    """
    torch.manual_seed(seed)
    generator, discriminator = nn.Linear(1, 1), make_discriminator()
    with torch.no_grad():
        generator.weight.fill_(0.4)
        generator.bias.fill_(-1.5)  # begin beside the data
    optimizers = [
        torch.optim.Adam(network.parameters(), rate, (0.5, 0.99))
        for network, rate in ((discriminator, 5e-3), (generator, 1e-2))
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / STEPS)
        for optimizer in optimizers
    ]

    def update_discriminator() -> None:
        real = MEAN + DEVIATION * torch.randn(BATCH, 1)
        fake = generator(torch.randn(BATCH, 1))
        train_discriminator(discriminator, optimizers[0], real, fake)

    states = [observe(0, generator, discriminator)]
    for _ in range(300):
        update_discriminator()
    states.append(observe(0, generator, discriminator))
    for step in range(1, STEPS + 1):
        for _ in range(UPDATES):
            update_discriminator()
        scores = discriminator(generator(torch.randn(BATCH, 1)))
        loss = GAMES["nonsaturating"].generator(scores)
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        for schedule in schedules:
            schedule.step()
        if step % 10 == 0:
            states.append(observe(step, generator, discriminator))
    return tuple(states)


def draw_densities(path: Path) -> None:
    """Draw figure 1 of the paper: the densities, D, and the arrows from z to G(z)."""
    states = play()
    first = next(state for state in states[2:] if state.exact < 0.25)
    panels = (
        ("D untrained", states[0]),
        ("D trained, G fixed", states[1]),
        (f"after {first.step} updates of G", first),
        (f"after {states[-1].step:,} updates", states[-1]),
    )
    figure, axes = charts.canvas(10, 3.8, 2, 4, gridspec_kw={"height_ratios": [4, 1]}, sharex="row")
    p_data = normal_density(MEAN, DEVIATION)
    for (title, state), top, bottom in zip(panels, *axes, strict=True):
        top.plot(LINE, p_data, ":", color="black", lw=2, label="p_data")
        top.plot(LINE, state.p_g, color=GREEN, lw=2, label="p_G")
        top.plot(LINE, state.scores, "--", color=BLUE, lw=2, label="D(x)")
        top.plot(
            LINE, optimal_discriminator(p_data, state.p_g), color=GREY, lw=1, label="best D(x)"
        )
        top.set(title=title, xlim=(-3.5, 3.5), ylim=(0, 1.6))
        top.set_xlabel("x", labelpad=1)
        _draw_arrows(bottom, state)
    axes[0, 0].set_ylabel("density, probability")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    charts.save(figure, path)


def _draw_arrows(axes: Any, state: State) -> None:
    """Draw lines from even z, below, to G(z), above."""
    axes.set(xlim=(-3.5, 3.5), ylim=(0, 1), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    for height, label, side in ((1, "G(z)", "top"), (0, "z", "bottom")):
        axes.axhline(height, color="black", lw=1, clip_on=False)
        axes.text(-3.4, abs(height - 0.08), label, va=side)
    for z in np.linspace(-2, 2, 13):
        axes.annotate(
            "", (state.slope * z + state.shift, 1), (z, 0),
            arrowprops={"arrowstyle": "->", "color": GREEN, "lw": 0.8},
        )  # fmt: skip


def draw_convergence(path: Path) -> None:
    """Draw D(x) → ½, and the divergence by V(D, G) beside that of the densities."""
    states = play()[1:]
    steps = [state.step for state in states]
    figure, ((left, right),) = charts.canvas(10, 3.4, 1, 2)
    left.plot(steps, [state.real for state in states], color=BLUE, label="mean D(x), data")
    left.plot(steps, [state.fake for state in states], color=charts.RED, label="mean D(G(z))")
    left.axhline(0.5, color=GREY, ls="--", lw=1)
    left.set(xlabel="updates of G", ylabel="probability of being real", ylim=(0, 1))
    right.plot(steps, [state.exact for state in states], color="black", lw=1, label="exact")
    right.plot(steps, [state.bound for state in states], color=BLUE, label="(V(D, G) + log 4) / 2")
    right.axhline(math.log(2), color=GREY, ls="--", lw=1)
    right.text(steps[-1], 0.68, "log 2: nothing in common", ha="right", va="top", color=GREY)
    right.set(xlabel="updates of G", ylabel="JSD(p_data ‖ p_G), nats")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    charts.save(figure, path)
