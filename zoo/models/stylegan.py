"""Style-based generator (Karras et al. 2019, arXiv:1812.04948), grown progressively.

A mapping network turns the latent z into w, which enters every layer of the synthesis network as a
style; the image starts from a learned constant, and per-layer noise adds stochastic detail. The
discriminator is that of `zoo.models.progan` with a blur before downsampling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.models.equalised import EqualisedConv2d, EqualisedLinear, UpsampledConv2d
from zoo.models.generators import FIRST_LAYER_STREAM, NoiseSource, torch_noise
from zoo.models.growth import SMALLEST, blend, enlarge
from zoo.models.options import check_counts, check_depths, check_numbers
from zoo.models.progan import Discriminator, ProGANConfig, ToRGB
from zoo.models.style_layers import PixelNorm, StyleLayer


@dataclass(frozen=True)
class StyleGANConfig(ProGANConfig):
    """Sizes of a `StyleGAN`, and its growing schedule.

    `style` is the width of w and of the `mapping_layers` dense layers that compute it, whose
    learning rate is multiplied by `mapping_rate`. `mixing` is the probability that a training image
    has two styles (section 3.1), once the networks have seen `mixing_from` images.
    """

    style: int = 64
    mapping_layers: int = 8
    mapping_rate: float = 0.01
    mixing: float = 0.9
    mixing_from: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "style")
        check_depths(self, "mapping_layers", low=1)
        check_numbers(self, "mapping_rate", positive=True)
        check_numbers(self, "mixing", "mixing_from")
        if self.mixing > 1:
            raise ConfigError(f"mixing must be a probability of at most 1, got {self.mixing}")


def make_mapping(config: StyleGANConfig) -> nn.Sequential:
    """Build the mapping network from latents [N, D] to w [N, W]."""
    widths = (config.latent, *[config.style] * config.mapping_layers)
    layers: list[nn.Module] = [PixelNorm()]
    for before, after in pairwise(widths):
        layers += [EqualisedLinear(before, after, rate=config.mapping_rate), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)


class Synthesis(nn.Module):
    """Styles [N, layers, W] and noise to images [N, C, S, S], approximately in [0, 1].

    Each resolution has two layers. While the network grows, later layers are skipped and the images
    are upsampled from the current resolution.
    """

    def __init__(self, config: StyleGANConfig) -> None:
        super().__init__()
        self.side, widths = config.image_size, config.widths
        self.growth = config.growth()
        self.constant = nn.Parameter(torch.ones(1, widths[0], SMALLEST, SMALLEST))
        convolutions: list[nn.Module] = [nn.Identity(), EqualisedConv2d(widths[0], widths[0], 3)]
        for before, after in pairwise(widths):
            convolutions += [
                UpsampledConv2d(before, after, blur=True),
                EqualisedConv2d(after, after, 3),
            ]
        self.layers = nn.ModuleList(
            StyleLayer(convolution, widths[index // 2], config.style)
            for index, convolution in enumerate(convolutions)
        )
        self.to_rgb = nn.ModuleList(ToRGB(width, config.channels) for width in widths)
        self.noise_widths = (sum(noise_widths(len(self.layers))),)

    def forward(self, styles: Tensor, noise: NoiseSource) -> Tensor:
        return enlarge(self.forward_stage(styles, noise), self.side)

    def forward_stage(self, styles: Tensor, noise: NoiseSource) -> Tensor:
        """Return the images at the current resolution."""
        level, alpha = self.growth.stage()
        # Drawn for all layers, so that a layer's noise stays the same while the network grows.
        drawn = noise(FIRST_LAYER_STREAM, *self.noise_widths)
        parts = drawn.split(noise_widths(len(self.layers)), 1)
        maps = run_layers(self.constant, self.layers[: 2 * level + 2], styles, parts)
        images: Tensor = self.to_rgb[level](maps[-1])
        return images if alpha == 1 else blend(self.to_rgb[level - 1](maps[-3]), images, alpha)

    def fold(self) -> FoldedSynthesis:
        """Return the fully grown network; see `zoo.models.progan.Generator.fold`."""
        self.growth.check_whole()
        return FoldedSynthesis(self.constant, self.layers, self.to_rgb[-1])


class FoldedSynthesis(nn.Module):
    """A fully grown `Synthesis` without its growing schedule.

    The layers share one noise stream, drawn once: a stock runtime inlines the noise function, some
    400 nodes, for every call. In earlier engine files each layer has a stream of its own; then
    `noise_widths` has all of their widths.
    """

    def __init__(self, constant: nn.Parameter, layers: nn.ModuleList, to_rgb: nn.Module) -> None:
        super().__init__()
        self.constant, self.layers, self.to_rgb = constant, layers, to_rgb
        self.noise_widths: tuple[int, ...] = (sum(noise_widths(len(layers))),)

    def forward(self, styles: Tensor, noise: NoiseSource) -> Tensor:
        streams = enumerate(self.noise_widths, FIRST_LAYER_STREAM)
        drawn = [noise(stream, width) for stream, width in streams]
        if len(drawn) == 1:
            drawn = list(drawn[0].split(noise_widths(len(self.layers)), 1))
        images: Tensor = self.to_rgb(run_layers(self.constant, self.layers, styles, drawn)[-1])
        return images


def run_layers(
    constant: Tensor, layers: nn.ModuleList, styles: Tensor, noise: Sequence[Tensor]
) -> list[Tensor]:
    """Return the feature maps after each layer, starting from the constant.

    `noise` has the samples of each layer, [N, width].
    """
    x, maps = constant, []
    for index, layer in enumerate(layers):
        x = layer(x, styles[:, index], noise[index])
        maps.append(x)
    return maps


def noise_widths(layers: int) -> list[int]:
    """Return the number of noise samples of each layer: one per pixel."""
    return [(SMALLEST << layer // 2) ** 2 for layer in range(layers)]


class Generator(nn.Module):
    """Mapping and synthesis networks; see `zoo.models.generators.StyleGenerator`."""

    bounded = False
    style_mean: Tensor

    def __init__(self, mapping: nn.Module, synthesis: nn.Module, style_mean: Tensor) -> None:
        super().__init__()
        self.mapping, self.synthesis = mapping, synthesis
        self.register_buffer("style_mean", style_mean)
        self.layers = len(synthesis.get_submodule("layers"))

    @property
    def noise_widths(self) -> tuple[int, ...]:
        """Numbers that each noise stream draws per image."""
        widths: tuple[int, ...] = self.synthesis.noise_widths
        return widths

    def forward(
        self, latents: Tensor, truncation: float | Tensor = 1.0, noise: NoiseSource | None = None
    ) -> Tensor:
        """Generate images [N, C, S, S] from latents [N, D]; noise comes from PyTorch by default."""
        w = self.truncate(self.mapping(latents), truncation)
        images: Tensor = self.synthesis(self.mix(w), noise or torch_noise(w))
        return images

    def truncate(self, w: Tensor, truncation: float | Tensor) -> Tensor:
        """Move w [N, W] towards its mean: w̄ + ψ (w - w̄), appendix B.

        ψ is a tensor [1] during export. Raises `ConfigError` for a number that is not finite.
        """
        if not isinstance(truncation, Tensor):
            number = isinstance(truncation, (int, float)) and not isinstance(truncation, bool)
            if not number or not math.isfinite(truncation):
                raise ConfigError(f"truncation must be a finite number, got {truncation!r}")
            if truncation == 1:
                return w
        mean = self.style_mean.to(w)
        return mean + truncation * (w - mean)

    def mix(self, w: Tensor, other: Tensor | None = None, layer: int | None = None) -> Tensor:
        """Return styles [N, layers, W]: w [N, W] for layers before `layer`, `other` from there on.

        Without `other`, w is used for all layers. Raises `ConfigError` for an invalid layer.
        """
        if other is None or layer is None:
            return w[:, None].expand(-1, self.layers, -1)
        if type(layer) is not int or not 0 <= layer <= self.layers:
            raise ConfigError(f"layer must be from 0 to {self.layers}, got {layer!r}")
        return self.mix_each(w, other, torch.full((len(w),), layer, device=w.device))

    def mix_each(self, w: Tensor, other: Tensor, layer: Tensor) -> Tensor:
        """Mix as `mix` does, at a different layer for each image, int64 [N]."""
        first = torch.arange(self.layers, device=w.device) < layer[:, None]
        return torch.where(first[..., None], w[:, None], other[:, None])


class StyleGAN(nn.Module):
    """Generator and discriminator."""

    prior = "normal"

    def __init__(self, config: StyleGANConfig | None = None) -> None:
        super().__init__()
        self.config = config or StyleGANConfig()
        mean = torch.zeros(self.config.style)
        self.generator = Generator(make_mapping(self.config), Synthesis(self.config), mean)
        self.discriminator = Discriminator(self.config, blur=True)
