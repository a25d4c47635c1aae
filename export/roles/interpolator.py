"""Interpolators: pairs of latents to the images on the paths between them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from export import reference
from export.checkpoint import Checkpoint, LatentCheckpoint
from export.checks import Check, compare_exact
from export.errors import ExportError
from export.functions import DOMAIN, VERSION, Mode
from export.graph import LATENT
from export.inputs import Inputs, mean_images
from export.manifest import latent_fields
from export.modules import Example, Graph, ImageFormat, image_from_mean
from export.options import Options
from export.parity import SEED, CheckedFile, compare_floats, compare_images, expected_images
from export.roles.role import Role
from export.stock import Session

NAME = "interpolator"


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
        """Return images of the points from a (t = 0) to b (t = 1): [N, S, H, W, C] if uint8."""
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
        rows = torch.zeros(2, self.width)
        return (rows, rows.clone(), torch.linspace(0, 1, 3)), ({0: "N"}, {0: "N"}, {0: "S"})


def check_supported(checkpoint: Checkpoint) -> None:
    """Raise ExportError for a checkpoint that cannot have an interpolator."""
    if not isinstance(checkpoint, LatentCheckpoint):
        main = checkpoint.entry.roles[0]
        raise ExportError(f"an interpolator needs a generator; this is a {main}")
    if checkpoint.style_based or checkpoint.classes:
        kind = "style-based" if checkpoint.style_based else "conditional"
        raise ExportError(f"an interpolator of a {kind} generator is not supported")


def build_graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    assert options.interpolator is not None
    decoder, width, bounded = checkpoint.decoder, checkpoint.latent, checkpoint.bounded
    return InterpolatorGraph(decoder, width, options.image, bounded, options.interpolator)


def check(file: CheckedFile) -> list[Check]:
    """Check the file on nine steps between five pairs of latents."""
    checkpoint, mode = file.checkpoint, file.options.interpolator
    assert mode is not None
    a = reference.normals(SEED, 0, 5, checkpoint.latent)
    b = reference.normals(SEED, 5, 5, checkpoint.latent)
    t = np.linspace(0, 1, 9, dtype=np.float32)
    latents = reference.interpolate(a, b, t, mode)
    latents_in_a_row = latents.reshape(-1, checkpoint.latent)
    mean = mean_images(checkpoint.decoder, latents_in_a_row, Inputs(0, 0))
    got = Session(file.model, extra=[LATENT]).run(a=a, b=b, t=t)[LATENT]
    same = compare_exact if mode == "linear" else compare_floats
    images = Session(file.path.read_bytes()).run(a=a, b=b, t=t)["image"]
    expected = expected_images(mean, file.model)
    expected = expected.reshape(5, 9, *expected.shape[1:])
    return [
        same(file.name, f"latent: portable body, {mode}", got, latents),
        compare_images(file.name, "image: PyTorch", images, expected),
    ]


# Interpolators are for other programs; our runtime interpolates latents itself.
ROLE = Role(build_graph, latent_fields, check, makes_images=True)
