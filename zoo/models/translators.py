"""Autoencoders that restore images: denoising, inpainting, colorization.

L(x, g(f(x̃))) with x̃ the corrupted image (*Deep Learning*, section 14.5; Vincent et al. 2008). f
and g are convolutional, with additive skip connections between layers of the same size, which carry
the intact content (Mao, Shen & Yang 2016, RED-Net); denoising also adds the input itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.options import as_widths, check_choice, check_counts, check_depths, check_halvings
from zoo.models.vae import ResidualBlock

TASKS = ("denoising", "inpainting", "colorization")


@dataclass(frozen=True)
class TranslatorConfig:
    """Options of a `Translator`.

    `channels` is that of the target images. The input has as many ("denoising"), one more for the
    mask of known pixels ("inpainting"), or a single grey one ("colorization"). `widths` are the
    channels of the strided convolutions, `blocks` the number of residual blocks on the smallest
    map. `corruption` lists the corruptions to train on, as `zoo.corruption.parse` reads them.
    Raises `ConfigError`.
    """

    image_size: int = 28
    channels: int = 1
    task: Literal["denoising", "inpainting", "colorization"] = "denoising"
    widths: tuple[int, ...] = (32, 64)
    blocks: int = 1
    corruption: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        check_counts(self, "image_size", "channels")
        check_choice(self, "task", *TASKS)
        corruption = self.corruption
        if not isinstance(corruption, (list, tuple)) or not all(
            isinstance(spec, str) for spec in corruption
        ):
            raise ConfigError(f"corruption must be a list of strings, got {corruption!r}")
        object.__setattr__(self, "corruption", tuple(corruption))
        check_depths(self, "blocks")
        check_halvings(self, "widths")
        if self.task == "colorization" and self.channels != 3:
            raise ConfigError(f"channels must be 3 for the task colorization, got {self.channels}")

    @property
    def input_channels(self) -> int:
        """Channels of the input image."""
        if self.task == "colorization":
            return 1
        return self.channels + (self.task == "inpainting")

    @property
    def alpha(self) -> bool:
        """True if the last input channel is a mask: 1 known, 0 hidden."""
        return self.task == "inpainting"


class Translator(nn.Module):
    """x̃ [N, C', S, S] in [0, 1] to g(f(x̃)) [N, C, S, S] in [0, 1]."""

    def __init__(self, config: TranslatorConfig | None = None) -> None:
        super().__init__()
        self.config = config or TranslatorConfig()
        widths = self.config.widths
        first = max(widths[0] // 2, 8)
        steps = list(pairwise((first, *widths)))
        self.stem = nn.Conv2d(self.config.input_channels, first, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in steps
        )
        self.blocks = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(self.config.blocks)))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(after, before, 4, stride=2, padding=1)
            for before, after in reversed(steps)
        )
        self.head = nn.Conv2d(first, self.config.channels, 3, padding=1)

    def translate(self, corrupted: Tensor) -> Tensor:
        """Return the restored images; known pixels of an inpainting input are unchanged."""
        x = F.relu(self.stem(corrupted))
        skipped = []
        for layer in self.down:
            skipped.append(x)
            x = F.relu(layer(x))
        x = self.blocks(x)
        for layer in self.up:
            x = F.relu(layer(x) + skipped.pop())
        x = self.head(x)
        if self.config.task == "denoising":
            return (corrupted + x).clamp(0, 1)
        x = torch.sigmoid(x)
        if self.config.alpha:
            image, known = corrupted[:, :-1], corrupted[:, -1:]
            x = known * image + (1 - known) * x
        return x

    def forward(self, corrupted: Tensor, images: Tensor) -> dict[str, Tensor]:
        """Return the batch means: loss (mean absolute error in levels of 255) and mse.

        For inpainting both cover the hidden pixels only. The absolute error gives sharper images
        than the squared one (Zhao et al. 2017).
        """
        difference = self.translate(corrupted).float() - images
        if self.config.alpha:
            hidden = 1 - corrupted[:, -1:].float()
            share = hidden.mean().clamp(min=1e-6)
        else:
            hidden, share = 1.0, 1.0
        mse = (difference.square() * hidden).mean() / share
        loss = 255 * (difference.abs() * hidden).mean() / share
        return {"loss": loss, "mse": mse.detach()}
