"""StarGAN: one generator for all domains (Choi et al. 2017, arXiv:1711.09020).

The generator takes an image and target attributes; the discriminator classifies patches as real or
fake and predicts the attributes. The layers are those of the paper's appendix 7.2, smaller. The
generator outputs a residual (Shen & Liu 2016, arXiv:1612.05363), so that unchanged parts cost
nothing, and only its first and last layer work at full resolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.data.domains import Domains
from zoo.models.classifier import Classifier
from zoo.models.options import as_widths, check_counts, check_depths, check_halvings, check_numbers


@dataclass(frozen=True)
class StarGANConfig:
    """Options of a `StarGAN`.

    `attributes` are those of the data set, `domains` the ones that can be set; `groups` and
    `hidden_by` are explained in `zoo.data.domains`. `widths` are the channels of the generator's
    strided convolutions, which `blocks` residual blocks follow; `discriminator_widths` those of the
    discriminator. `classification` and `reconstruction` are λ_cls and λ_rec of equations 5 and 6.
    `smoothness` is γ of a penalty, γ/2 E ‖∇ₓ Σ ±l‖², on the input gradient of the log odds l of the
    true attributes (Ross & Doshi-Velez 2017, arXiv:1711.09404): without it the generator learns
    faint patterns that fool the classifier without a visible change. `change` is the weight of the
    mean absolute change. Raises `ConfigError`.
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
        check_halvings(self, "widths", "discriminator_widths")

    @property
    def table(self) -> Domains:
        """The domains and their rules."""
        return Domains(self.domains, self.groups, self.hidden_by)

    task = "domains"
    corruption = ()
    alpha = False

    @property
    def input_channels(self) -> int:
        """Channels of the input image."""
        return self.channels


def _instance_norm(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, affine=True)


class Block(nn.Module):
    """A residual block of two normalised 3×3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _instance_norm(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _instance_norm(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.layers(x)
        return x + changed


class Generator(nn.Module):
    """Images [N, C, S, S] and target attributes [N, K] of 0 and 1 to images [N, C, S, S].

    The attributes become constant channels of the input. The images may slightly exceed [0, 1].
    """

    bounded = False

    def __init__(self, config: StarGANConfig) -> None:
        super().__init__()
        widths = config.widths
        layers: list[nn.Module] = []
        for before, after in pairwise((config.channels + len(config.domains), *widths)):
            layers += [
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                _instance_norm(after),
                nn.ReLU(),
            ]
        layers += [Block(widths[-1]) for _ in range(config.blocks)]
        for before, after in pairwise(widths[::-1]):
            layers += [
                nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False),
                _instance_norm(after),
                nn.ReLU(),
            ]
        last = nn.ConvTranspose2d(widths[0], config.channels, 4, 2, 1)
        with torch.no_grad():
            # Start near the identity.
            last.weight.mul_(0.1)
        layers.append(last)
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor, attributes: Tensor) -> Tensor:
        planes = attributes.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
        change = self.layers(torch.cat([2 * images - 1, planes], 1))
        return images + torch.tanh(change)


class Centred(nn.Module):
    """Images in [0, 1] to [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * images - 1


class Discriminator(nn.Module):
    """Images [N, C, S, S] in [0, 1] to real/fake logits of patches, [N, 1, H, W]."""

    def __init__(self, config: StarGANConfig) -> None:
        super().__init__()
        widths = config.discriminator_widths
        layers: list[nn.Module] = [Centred()]
        for before, after in pairwise((config.channels, *widths)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.features = nn.Sequential(*layers)
        self.judge = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        side = config.image_size // 2 ** len(widths)
        self.project = nn.Sequential(
            nn.Conv2d(widths[-1], len(config.table.seen), side, bias=False), nn.Flatten()
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                # No normalisation preserves the scale (He et al. 2015, arXiv:1502.01852).
                nn.init.kaiming_normal_(layer.weight, 0.01)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.judge(self.features(images))
        return logits

    def domains(self, images: Tensor) -> Tensor:
        """Return the log odds of the domains and of the attributes that hide them, [N, K']."""
        logits: Tensor = self.project(self.features(images))
        return logits


class DomainClassifier(Classifier):
    """View of the discriminator's second head, which classifies domains."""

    kind = "multilabel"

    def __init__(self, discriminator: Discriminator, names: tuple[str, ...]) -> None:
        super().__init__()
        self.features, self.project = discriminator.features, discriminator.project
        self._names = names

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each score."""
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
        """The classifier of domains, a view of the discriminator."""
        return DomainClassifier(self.discriminator, self.config.table.seen)

    def translate(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Translate images [N, C, S, S] to attributes [N, K] of 0 and 1; returns images in [0, 1].

        The K attributes are the config's `domains`, in order.
        """
        translated: Tensor = self.generator(images, attributes).clamp(0, 1)
        return translated


def classification_loss(logits: Tensor, attributes: Tensor) -> Tensor:
    """Return -log D_cls(c | x), equations 2 and 3, summed over attributes, averaged over images."""
    loss = F.binary_cross_entropy_with_logits(logits.float(), attributes.float(), reduction="none")
    return loss.sum(1).mean()


def reconstruction_loss(images: Tensor, copies: Tensor) -> Tensor:
    """Return the mean absolute difference of equation 4, in the paper's range [-1, 1]."""
    return 2 * (images - copies).float().abs().mean()
