"""StarGAN: one generator for all domains (Choi et al. 2017, arXiv:1711.09020).

The generator gets an image and the attributes that it is to have; the discriminator judges patches
and names the attributes. Layers as in the paper's appendix 7.2, smaller; the generator gives the
change of the image rather than a new one (Shen & Liu 2016, arXiv:1612.05363), so that what is to
stay costs nothing, and works on the full image in its first and last layer only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.domains import Domains
from zoo.errors import ConfigError
from zoo.models.classifier import Classifier
from zoo.models.options import as_widths, check_counts, check_depths, check_numbers


@dataclass(frozen=True)
class StarGANConfig:
    """Options of a `StarGAN`.

    `attributes` are those of the data set, `domains` the ones to set; `groups` and `hidden_by` are
    explained in `zoo.data.domains`. `widths` are the channels of the generator's strided
    convolutions, after which `blocks` residual blocks work; `discriminator_widths` those of the
    discriminator's. `classification` and `reconstruction` are λ_cls and λ_rec
    of equations 5 and 6. `smoothness` is γ of a penalty, γ/2 E ‖∇ₓ Σ ±l‖², on the gradient of the
    log odds l of what an image is, by the image (Ross & Doshi-Velez 2017, arXiv:1711.09404):
    without it the generator finds faint patterns that fool the classifier, and changes nothing
    that people see. `change` is the weight of the mean absolute change. Raises `ConfigError`.
    """

    image_size: int = 64
    channels: int = 3
    attributes: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    hidden_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 2
    discriminator_widths: tuple[int, ...] = (32, 64, 128, 256)
    classification: float = 1.0
    reconstruction: float = 10.0
    smoothness: float = 0.05
    change: float = 0.0

    def __post_init__(self) -> None:
        as_widths(self, "widths", low=1)
        as_widths(self, "discriminator_widths", low=1)
        check_counts(self, "image_size", "channels")
        check_depths(self, "blocks", low=1)
        check_numbers(self, "classification", "reconstruction", "smoothness", "change")
        for name in ("attributes", "domains"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "groups", tuple(map(tuple, self.groups)))
        hidden_by = {name: tuple(hiding) for name, hiding in dict(self.hidden_by).items()}
        object.__setattr__(self, "hidden_by", hidden_by)
        self.table.columns(self.attributes)
        steps = max(len(self.widths), len(self.discriminator_widths))
        if self.image_size % 2**steps:
            raise ConfigError(f"image_size must be a multiple of {2**steps}, got {self.image_size}")

    @property
    def table(self) -> Domains:
        """The domains and their rules."""
        return Domains(self.domains, self.groups, self.hidden_by)

    task = "domains"
    corruption = ()
    alpha = False

    @property
    def input_channels(self) -> int:
        """Channels of the image to translate."""
        return self.channels


def _normal(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, affine=True)


class Block(nn.Module):
    """A residual block of two normalised 3×3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _normal(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _normal(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the same shape."""
        changed: Tensor = self.layers(x)
        return x + changed


class Generator(nn.Module):
    """Images [N, C, S, S] and target attributes [N, K] of 0 and 1 to images [N, C, S, S].

    The attributes are constant channels of the input. The images may leave [0, 1] a bit.
    """

    bounded = False

    def __init__(self, config: StarGANConfig) -> None:
        super().__init__()
        widths = config.widths
        outer = (config.channels + len(config.domains), *widths)
        layers: list[nn.Module] = []
        for before, after in zip(outer, widths, strict=False):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), _normal(after), nn.ReLU()]
        layers += [Block(widths[-1]) for _ in range(config.blocks)]
        for before, after in zip(widths[::-1], widths[-2::-1], strict=False):
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                _normal(after),
                nn.ReLU(),
            ]
        last = nn.ConvTranspose2d(widths[0], config.channels, 4, 2, 1)
        with torch.no_grad():
            # To begin with, nothing changes much.
            last.weight.mul_(0.1)
        layers.append(last)
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Return the images with these attributes."""
        planes = attributes.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        change = self.layers(torch.cat([2 * images - 1, planes], 1))
        return images + torch.tanh(change)


class Centred(nn.Module):
    """Images in [0, 1] to [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the images in the other range."""
        return 2 * images - 1


class Discriminator(nn.Module):
    """Images [N, C, S, S] in [0, 1] to logits of patches [N, 1, H, W], or of attributes."""

    def __init__(self, config: StarGANConfig) -> None:
        super().__init__()
        widths = config.discriminator_widths
        layers: list[nn.Module] = [Centred()]
        for before, after in zip((config.channels, *widths[:-1]), widths, strict=True):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.features = nn.Sequential(*layers)
        self.judge = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        side = config.image_size // 2 ** len(widths)
        self.project = nn.Sequential(
            nn.Conv2d(widths[-1], len(config.table.seen), side, bias=False), nn.Flatten()
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # He et al. 2015 (arXiv:1502.01852): no normalisation keeps the maps from fading.
                nn.init.kaiming_normal_(layer.weight, 0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the patches: real or not."""
        logits: Tensor = self.judge(self.features(images))
        return logits

    def domains(self, images: Tensor) -> Tensor:
        """Return the log odds of the domains and of what hides them, [N, K']."""
        logits: Tensor = self.project(self.features(images))
        return logits


class DomainClassifier(Classifier):
    """The discriminator's second head: which domains images are of, and what hides them."""

    kind = "multilabel"

    def __init__(self, discriminator: Discriminator, names: tuple[str, ...]) -> None:
        super().__init__()
        self.features, self.project = discriminator.features, discriminator.project
        self._names = names

    @property
    def names(self) -> tuple[str, ...]:
        """What each score is of."""
        return self._names

    def from_features(self, features: Tensor) -> Tensor:
        """Return the probabilities [N, K'] of the last maps [N, F, H, W]."""
        return torch.sigmoid(self.project(features))


class StarGAN(nn.Module):
    """Generator and discriminator."""

    def __init__(self, config: StarGANConfig) -> None:
        super().__init__()
        self.config = config
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

    @property
    def classifier(self) -> DomainClassifier:
        """A view of the discriminator: the classifier of domains."""
        return DomainClassifier(self.discriminator, self.config.table.seen)

    def translate(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Images [N, C, S, S] with attributes [N, K] of 0 and 1, as images in [0, 1].

        K are the `domains` of the config, in their order.
        """
        made: Tensor = self.generator(images, attributes).clamp(0, 1)
        return made


def classification_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Equations 2 and 3: -log D_cls(c | x), summed over attributes [N, K], mean over images."""
    loss = F.binary_cross_entropy_with_logits(logits.float(), wanted.float(), reduction="none")
    return loss.sum(1).mean()


def change_loss(images: Tensor, made: Tensor) -> Tensor:
    """The mean absolute change, likewise: it keeps the change sparse (Shen & Liu 2016)."""
    return reconstruction_loss(images, made)


def reconstruction_loss(images: Tensor, again: Tensor) -> Tensor:
    """Equation 4: the mean absolute difference, of values in [-1, 1] as the paper has them."""
    return 2 * (images - again).float().abs().mean()
