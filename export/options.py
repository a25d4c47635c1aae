"""Options of an export to .onnx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from export.functions import Mode
from export.modules import ImageFormat

Weights = Literal["fp16", "fp32"]


@dataclass(frozen=True)
class Options:
    """Formats of weights and images, and the mode of the interpolator, if any.

    `data` is the data set for the latent statistics; None for the training data, if available.
    """

    weights: Weights = "fp16"
    image: ImageFormat = "uint8"
    interpolator: Mode | None = None
    runtime_check: bool = True
    data: str | None = None
