"""Exported VAEs with random weights, for the tests of the export."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from click.testing import CliRunner, Result

from export import __main__ as command
from export import pipeline
from shell import contents
from toy_runs import save_run
from zoo.models.vae import VAE, VAEConfig

GREY = VAEConfig(image_size=12, latent=5, widths=(16, 8), encoder_widths=(8, 16))
COLOUR = VAEConfig(
    image_size=8, channels=3, latent=3, widths=(16, 8), encoder_widths=(8, 16), decoder="gaussian"
)


def write_run(folder: Path, config: VAEConfig) -> VAE:
    """Write the folder of a run like training does, with large random weights."""
    torch.manual_seed(0)
    model = VAE(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    pictures = str(folder / "pictures")
    save_run(
        folder,
        "vae",
        model,
        data=pictures,
        recipe={"epochs": 3, "data": pictures},
        epochs=3,
        metrics={"test_nelbo": 240.5, "test_reconstruction": 230.0, "test_kl": 10.5},
        classes=["Trouser", "Sac à main"],
    )
    return model


class Exported:
    """A run, its model, and the engine files exported from it."""

    def __init__(self, folder: Path, config: VAEConfig, options: pipeline.Options) -> None:
        self.run = folder / "run"
        self.model = write_run(self.run, config)
        self.config, self.options = config, options
        self.files = {
            file.role: file for file in pipeline.export(self.run, folder / "vae.onnx", options)
        }

    def proto(self, role: str) -> onnx.ModelProto:
        """The ONNX model of a role."""
        return onnx.load(self.files[role].path)

    def decoder(self, half: bool) -> Callable[[Any], Any]:
        """Return PyTorch's decoder to [N, C, H, W], with large weights in fp16 if `half`."""
        model = VAE(self.config).eval()
        model.load_state_dict(self.model.state_dict())
        with torch.no_grad():
            for parameter in model.parameters():
                if half and parameter.numel() >= 1024:
                    parameter.copy_(parameter.half().float())

        def run(latents: Any) -> Any:
            with torch.no_grad():
                return model.decoder(torch.from_numpy(np.asarray(latents, np.float32))).numpy()

        return run


def invoke(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def refuse_plan(folder: Path, *arguments: object) -> str:
    """Build `a.plan` of vae.onnx with invalid arguments, and return the error message.

    Checks that it is one line, with exit code 2, and that an older plan in the folder is unchanged.
    """
    plan = folder / "a.plan"
    plan.write_bytes(b"older")
    before = contents(folder)
    result = invoke("vae.onnx", "--out", plan, *arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert contents(folder) == before
    return str(result.stderr)
