"""The options of an export to .onnx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from export.functions import Mode
from export.modules import ImageFormat

Weights = Literal["fp16", "fp32"]


@dataclass(frozen=True)
class Options:
    """What to export: how weights and images are stored, and an interpolator's mode if any.

    `data` is what the latents are measured on; None for the set that was trained on, if it is here.
    """

    weights: Weights = "fp16"
    image: ImageFormat = "uint8"
    interpolator: Mode | None = None
    runtime_check: bool = True
    data: str | None = None
