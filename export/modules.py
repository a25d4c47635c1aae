"""The graphs of the engine files as PyTorch modules, ready for the ONNX exporter."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from export.functions import DOMAIN, VERSION, Mode
from zoo.models.generators import NoiseSource

ImageFormat = Literal["uint8", "float"]


def image_from_mean(mean: Tensor, image: ImageFormat, bounded: bool) -> Tensor:
    """The decoder's mean image as the engine returns it.

    Args:
        mean: float32 [N, C, H, W], 1 being white.
        image: "uint8" gives floor(mean * 255 + 1/2) as [N, H, W, C], "float"
            the mean itself as [N, C, H, W].
        bounded: the mean is in [0, 1] already and needs no clipping.
    """
    if image == "float":
        return mean if bounded else mean.clamp(0.0, 1.0)
    # TensorRT takes uint8 for an output only: transpose first, cast last.
    mean = mean.permute(0, 2, 3, 1)
    if not bounded:
        mean = mean.clamp(0.0, 1.0)
    return torch.floor(mean * 255.0 + 0.5).to(torch.uint8)


def unit(image: Tensor) -> Tensor:
    """Levels uint8 [N, H, W, C] as float32 [N, C, H, W] in [0, 1]."""
    return image.permute(0, 3, 1, 2).float() / 255.0


Example = tuple[tuple[Tensor, ...], tuple[dict[int, str], ...]]
"""Inputs to trace with, and their dynamic axes."""

ROWS = {0: "N"}


def reparametrized_sample(
    mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, stream: int
) -> Tensor:
    """A node of that operator: h = mu + exp(logvar / 2) * eps, float32 [N, D]."""
    h: Tensor = torch.onnx.ops.symbolic(
        f"{DOMAIN}::ReparametrizedSample",
        (mu, logvar, seed, first),
        {"stream": stream},
        dtype=mu.dtype,
        shape=mu.shape,
        version=VERSION,
    )
    return h


def drawn(rows_of: Tensor, seed: Tensor, first: Tensor, scale: Tensor | None = None) -> NoiseSource:
    """Noise by the contract, a row for each of `rows_of`, times `scale` [1]."""

    def noise(stream: int, width: int) -> Tensor:
        zeros = torch.zeros(rows_of.shape[0], width)
        eps = reparametrized_sample(zeros, zeros, seed, first, stream)
        return eps if scale is None else eps * scale

    return noise


def _words() -> tuple[Tensor, Tensor]:
    """A seed and a first sample."""
    return torch.zeros(1, dtype=torch.int64), torch.zeros(1, dtype=torch.int64)


class GeneratorGraph(nn.Module):
    """(mu [N,D], logvar [N,D], seed [1], first [1]) -> image."""

    inputs: tuple[str, ...] = ("mu", "logvar", "seed", "first")
    outputs = ("image",)

    def __init__(self, decoder: nn.Module, width: int, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.decoder, self.width, self.image, self.bounded = decoder, width, image, bounded

    def forward(self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor) -> Tensor:
        """One image per row; row r is sample `first + r` of `seed`."""
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        return image_from_mean(self.decoder(h), self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        rows = torch.zeros(2, self.width)
        return (rows, rows.clone(), *_words()), (ROWS, ROWS, {}, {})


class ConditionalGraph(GeneratorGraph):
    """(mu [N,D], logvar [N,D], seed [1], first [1], label int64 [N]) -> image."""

    inputs = (*GeneratorGraph.inputs, "label")

    def forward(  # type: ignore[override]
        self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, label: Tensor
    ) -> Tensor:
        """One image per row, of the class of that row."""
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        return image_from_mean(self.decoder(h, label), self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, torch.zeros(2, dtype=torch.int64)), (*axes, ROWS)


class ImageGraph(nn.Module):
    """Base of the graphs whose one input is a batch of images, uint8 [N,H,W,C]."""

    inputs: tuple[str, ...] = ("image",)
    outputs: tuple[str, ...]

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        return (torch.zeros(2, *self.shape, dtype=torch.uint8),), ({0: "N"},)


class EncoderGraph(ImageGraph):
    """image uint8 [N,H,W,C] -> (mu [N,D], logvar [N,D]), or mu alone if deterministic."""

    def __init__(
        self, encoder: nn.Module, shape: tuple[int, int, int], deterministic: bool
    ) -> None:
        super().__init__(shape)
        self.encoder = encoder
        self.outputs = ("mu",) if deterministic else ("mu", "logvar")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """The posterior of each image, its levels divided by 255."""
        result: tuple[Tensor, Tensor] | Tensor = self.encoder(unit(image))
        return result


class TranslatorGraph(ImageGraph):
    """input uint8 [N,H,W,C'] -> image uint8 [N,H,W,C]."""

    inputs: tuple[str, ...] = ("input",)
    outputs = ("image",)

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__((*shape[:2], model.config.input_channels))
        self.model = model

    def forward(self, input: Tensor) -> Tensor:
        """The translated images."""
        return image_from_mean(self.model.translate(unit(input)), "uint8", bounded=True)


class DomainsGraph(TranslatorGraph):
    """(input uint8 [N,H,W,C'], attributes [N,K]) -> image uint8 [N,H,W,C]."""

    inputs = ("input", "attributes")

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(model, shape)
        self.count = len(domains(model))

    def forward(self, input: Tensor, attributes: Tensor) -> Tensor:  # type: ignore[override]
        """The images with these attributes."""
        made = self.model.translate(unit(input), attributes)
        return image_from_mean(made, "uint8", bounded=True)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, torch.zeros(2, self.count)), (*axes, ROWS)


class NoisyTranslatorGraph(TranslatorGraph):
    """(input uint8 [N,H,W,C'], seed [1], first [1]) -> image uint8 [N,H,W,C]."""

    inputs = ("input", "seed", "first")

    def forward(  # type: ignore[override]
        self, input: Tensor, seed: Tensor, first: Tensor
    ) -> Tensor:
        """The translated images; row r has the noise of sample `first + r` of `seed`."""
        made = self.model.translate(unit(input), drawn(input, seed, first))
        return image_from_mean(made, "uint8", bounded=True)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, *_words()), (*axes, {}, {})


def domains(model: Any) -> tuple[str, ...]:
    """The attributes that a translator is told, by name."""
    return tuple(getattr(model, "domains", ()) or getattr(model.config, "domains", ()))


def noise_widths(network: Any) -> tuple[int, ...]:
    """Numbers that each stream of a generator or translator draws, from the first layer's on."""
    return tuple(getattr(network, "noise_widths", ()))


class ClassifierGraph(ImageGraph):
    """image uint8 [N,H,W,C] -> scores float32 [N,K], probabilities, and maybe features [N,F]."""

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.model = model
        self.exposes_features = bool(getattr(model, "exposes_features", False))
        self.outputs = ("scores", "features") if self.exposes_features else ("scores",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The probability of each name; with them what they are computed from, if it is exposed."""
        if not self.exposes_features:
            return (self.model.scores(unit(image)),)
        features = self.model.features(unit(image))
        return self.model.from_features(features), features


class InterpolatorGraph(nn.Module):
    """(a [N,D], b [N,D], t [S]) -> image, with a second batch axis S for the steps."""

    inputs = ("a", "b", "t")
    outputs = ("image",)

    def __init__(
        self, decoder: nn.Module, width: int, image: ImageFormat, bounded: bool, mode: Mode
    ) -> None:
        super().__init__()
        self.decoder, self.width, self.mode = decoder, width, mode
        self.image, self.bounded = image, bounded

    def forward(self, a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """Images of the points a (t = 0) to b (t = 1): [N, S, H, W, C] if uint8."""
        h = torch.onnx.ops.symbolic(
            f"{DOMAIN}::BatchedInterpolate",
            (a, b, t),
            {"mode": self.mode},
            dtype=a.dtype,
            shape=(a.shape[0], t.shape[0], a.shape[1]),
            version=VERSION,
        )
        images = image_from_mean(self.decoder(h.flatten(0, 1)), self.image, self.bounded)
        return images.reshape(a.shape[0], t.shape[0], *images.shape[1:])

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        rows = torch.zeros(2, self.width)
        return (rows, rows.clone(), torch.linspace(0, 1, 3)), ({0: "N"}, {0: "N"}, {0: "S"})


Graph = nn.Module
"""Any of them, and those of `export.style_modules`; each has inputs, outputs and example()."""
