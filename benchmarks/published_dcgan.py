"""The DCGAN of the PyTorch-GAN collection, written from its published architecture and settings.

Upsampling and 3×3 convolutions in the generator, dropout in the discriminator, batch normalisation
with an epsilon of 0.8, binary cross-entropy, Adam with learning rate 2e-4 and β₁ = 0.5, batches of
64, a latent of 100 (https://github.com/eriklindernoren/PyTorch-GAN, implementations/dcgan).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENT = 100
BATCH = 64
_EPSILON = 0.8


def generator(side: int, channels: int) -> nn.Module:
    """Return a network from latents [N, 100] to images [N, C, S, S] in [-1, 1]."""

    def block(before: int, after: int) -> list[nn.Module]:
        convolution = nn.Conv2d(before, after, 3, padding=1)
        return [nn.Upsample(scale_factor=2), convolution, nn.BatchNorm2d(after, _EPSILON)]

    start = side // 4
    return nn.Sequential(
        nn.Linear(LATENT, 128 * start**2),
        nn.Unflatten(1, (128, start, start)),
        nn.BatchNorm2d(128),
        *block(128, 128),
        nn.LeakyReLU(0.2),
        *block(128, 64),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, channels, 3, padding=1),
        nn.Tanh(),
    )


def discriminator(side: int, channels: int) -> nn.Module:
    """Return a network from images [N, C, S, S] in [-1, 1] to logits [N, 1]."""
    layers: list[nn.Module] = []
    widths = (channels, 16, 32, 64, 128)
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
        if before != channels:
            layers.append(nn.BatchNorm2d(after, _EPSILON))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (side // 16) ** 2, 1))


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, 0.0, 0.02)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def train(
    batches: Iterator[Tensor],
    side: int,
    channels: int,
    seconds: float,
    clock: Callable[[], float] = time.process_time,
) -> tuple[nn.Module, int]:
    """Train on batches [64, C, S, S] in [-1, 1]; return the generator and the number of updates.

    seconds: the duration, by `clock`.
    """
    network, judge = generator(side, channels), discriminator(side, channels)
    for part in (network, judge):
        part.apply(_initialise)
    optimizers = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (network, judge)]
    started, updates = clock(), 0
    while clock() - started < seconds:
        real = next(batches)
        ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
        optimizers[0].zero_grad()
        fake = network(torch.randn(len(real), LATENT))
        F.binary_cross_entropy_with_logits(judge(fake), ones).backward()
        optimizers[0].step()
        optimizers[1].zero_grad()
        real_loss = F.binary_cross_entropy_with_logits(judge(real), ones)
        fake_loss = F.binary_cross_entropy_with_logits(judge(fake.detach()), zeros)
        ((real_loss + fake_loss) / 2).backward()
        optimizers[1].step()
        updates += 1
    return network.eval(), updates
