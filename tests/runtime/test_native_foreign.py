"""Generators that PyTorch exports by itself, with a manifest added, in the native backend."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import runtime
from export.manifest import KEY
from native_engines import NOISE
from small_engines import manifest

LATENT = 16


class Dcgan(nn.Module):
    """The generator of Radford et al. 2016 (arXiv:1511.06434, figure 1), for 32×32 pixels."""

    def __init__(self, channels: int, levels: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        layers: list[nn.Module] = []
        widths = (LATENT, 40, 24, 9)
        for i, (before, after) in enumerate(zip(widths, widths[1:], strict=False)):
            stride, padding = (1, 0) if i == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.main = nn.Sequential(*layers, nn.ConvTranspose2d(9, channels, 4, 2, 1), nn.Tanh())
        self.levels = levels
        for norm in self.modules():
            if isinstance(norm, nn.BatchNorm2d):  # as after a training
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias, 0.0, 0.3)
                nn.init.normal_(norm.running_mean, 0.0, 0.1)
                nn.init.uniform_(norm.running_var, 0.005, 0.02)

    def forward(self, mu: Tensor) -> Tensor:
        image = self.main(mu.unsqueeze(2).unsqueeze(3))
        if not self.levels:
            return image
        return ((image + 1) / 2 * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1)


class Turned(Dcgan):
    """The same numbers, turned before they are levels."""

    def forward(self, mu: Tensor) -> Tensor:
        image = (self.main(mu[:, :, None, None]) * 0.5 + 0.5).permute(0, 2, 3, 1)
        return torch.floor(image * 255.0 + 0.5).to(torch.uint8)


def exported(model: Dcgan, path: Path, dynamo: bool) -> None:
    """By PyTorch's exporter, the one that traces or the newer one, with a manifest of ours."""
    names: dict[str, Any] = {"input_names": ["mu"], "output_names": ["image"]}
    if dynamo:
        names |= {"dynamic_shapes": {"mu": {0: torch.export.Dim("n")}}, "external_data": False}
    else:
        names |= {"dynamic_axes": {"mu": {0: "n"}, "image": {0: "n"}}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), (torch.zeros(2, LATENT),), path, dynamo=dynamo, verbose=False, **names
        )
    made = onnx.load(path)
    channels = 3 if model.levels else 1
    document = manifest("generator", (32, 32, channels), latent={"width": LATENT, "prior": "none"})
    document["noise"] = NOISE | {"streams": {"latent": 0}}
    if not model.levels:
        document["image"] |= {"dtype": "float32", "layout": "NCHW", "range": [-1, 1]}
        document["image"]["channels"] = 1
    entry = made.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(document)
    onnx.save(made, path)


@pytest.mark.parametrize(
    ("kind", "dynamo"), [("levels", True), ("levels", False), ("turned", False), ("floats", False)]
)
def test_a_generator_of_pytorch(kind: str, dynamo: bool, tmp_path: Path) -> None:
    """Batch normalisation, then bytes of (tanh + 1) / 2, or tanh: as ONNX Runtime and PyTorch."""
    path = tmp_path / "foreign.onnx"
    model: Dcgan = {"turned": Turned}.get(kind, Dcgan)(
        1 if kind == "floats" else 3, kind != "floats"
    )
    exported(model, path, dynamo)
    latents = np.random.default_rng(0).standard_normal((11, LATENT)).astype(np.float32)
    with (
        runtime.Generator(path, backend="native") as ours,
        runtime.Generator(path, backend="onnxruntime") as stock,
    ):
        images, expected = ours.decode(latents), stock.decode(latents)
        assert np.array_equal(ours.decode(latents[:3]), images[:3])
    with torch.inference_mode():
        torch_images = model(torch.from_numpy(latents)).numpy()
    assert images.shape == expected.shape and images.dtype == expected.dtype
    assert torch_images.std() > (0.2 if kind == "floats" else 25)
    for other in (expected, torch_images):
        apart = np.abs(images.astype(np.float64) - other)
        if kind == "floats":
            assert apart.max() < 3e-5
        else:
            assert apart.max() <= 1 and (apart > 0).mean() < 1e-3
