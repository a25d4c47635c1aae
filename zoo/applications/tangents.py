"""Tangents of the data manifold that a decoder has learned.

At a latent h the columns of the decoder's Jacobian ∂g/∂h span the tangent plane of the manifold of
decoded images at g(h). Its singular value decomposition J = U·Σ·Vᵀ orders directions by their
effect on the image: a small step s along the column v_i of V moves the image by s·σ_i along u_i.
Goodfellow, Bengio & Courville, Deep Learning, 2016, section 14.6; Rifai et al., The Manifold
Tangent Classifier, NIPS 2011 (who use the Jacobian of the encoder).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Generator
from zoo.applications import points
from zoo.applications.points import Point
from zoo.engines import open_generator
from zoo.errors import ConfigError
from zoo.images import atomic, grid
from zoo.inference import inputs
from zoo.optional import require

if TYPE_CHECKING:
    from torch import nn


Floats = NDArray[np.float64]

GREY = 128
"""Level of unchanged pixels in the picture of a direction."""

_HALF = 127


class Directions(NamedTuple):
    """Singular values [k], orthonormal directions of images [k, H, W, C] and of latents [k, D]."""

    values: Floats
    images: Floats
    latents: Floats


def jacobian(decoder: nn.Module, latent: ArrayLike) -> Floats:
    """Return ∂g/∂h at a latent [D]: float64 [H, W, C, D], in intensities (0 to 1) per unit of h.

    `decoder` maps latents [N, D] to images [N, C, H, W], and is not modified. Uses automatic
    differentiation in float64: forward mode, or reverse mode if there are fewer pixels than latent
    dimensions.
    """
    import copy

    import torch
    from torch.func import jacfwd, jacrev

    double = copy.deepcopy(decoder).eval().double().requires_grad_(False)

    def image(h: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = double(h[None])
        return decoded[0].permute(1, 2, 0)

    h = torch.tensor(np.asarray(latent, np.float64))
    with torch.no_grad():
        pixels = image(h).numel()
    differentiate = jacfwd if h.numel() <= pixels else jacrev
    derivatives: Floats = differentiate(image)(h).detach().numpy()
    return derivatives


def directions(derivatives: ArrayLike, k: int) -> Directions:
    """Return the k directions with the largest singular values of a Jacobian [H, W, C, D].

    Signs are chosen so that the pixel that changes most becomes brighter. Raises ConfigError for a
    k below 1 or above D, and for derivatives that are not finite.
    """
    array = np.asarray(derivatives, np.float64)
    *shape, width = array.shape
    most = min(width, int(np.prod(shape)))
    if not 1 <= k <= most:
        raise ConfigError(f"k: expected 1 to {most} directions, got {k}")
    if not np.isfinite(array).all():
        raise ConfigError("the decoder's Jacobian is not finite")
    u, values, vt = np.linalg.svd(array.reshape(-1, width), full_matrices=False)
    columns = u.T[:k]
    peaks = columns[np.arange(k), np.abs(columns).argmax(1)]
    signs = np.where(peaks < 0, -1.0, 1.0)[:, None]
    return Directions(values[:k], (signs * columns).reshape(k, *shape), signs * vt[:k])


def picture(direction: ArrayLike) -> NDArray[np.uint8]:
    """Draw an image direction [H, W, C] as uint8 [H, W, C], scaled to its largest change.

    Grey means no change, white brighter and black darker, per channel for colour images.
    """
    change = np.asarray(direction, np.float64)
    most = np.abs(change).max()
    return np.rint(GREY + _HALF * (change / most if most else change)).astype(np.uint8)


def draw_tangents(
    images: tuple[str, ...],
    engine: str,
    *,
    k: int = 6,
    move: float | None = None,
    seed: int = 0,
    out: str = "tangents.png",
    resize: bool = False,
    **options: Any,
) -> str:
    """Draw the first `k` tangent directions of the manifold at each of these points to `out`.

    The arguments are the options of `zoo.tangents`, `options` those of runtime.Generator. Returns a
    summary line. Raises ConfigError, DataError, OutputError, TrainingError, and the errors of
    zoo.engines.open_generator.
    """
    atomic.check_suffix(out, ".png", "the picture of tangents must be a .png")
    if move is not None and not (math.isfinite(move) and move > 0):
        raise ConfigError(f"--move: expected a finite number above 0, got {move}")
    with open_generator(engine, **options) as generator:
        if k > generator.latent_width:
            raise ConfigError(f"-k: expected at most {generator.latent_width} directions, got {k}")
        skipped: list[tuple[str, str]] = []
        sources = points.read(generator, images, seed, resize, skipped, **options)
        inputs.report(skipped)
        width = generator.latent_width
        columns = 2 + k
        rows = 1 if move is None else 3
        grid.plan(len(sources) * rows * columns, *generator.image_shape[:2], columns)
        for module in ("torch", "onnx", "safetensors"):
            require(module, "train,export")
        from zoo.models.weights import load_engine

        model, _ = load_engine(Path(generator.path))
        tiles: list[NDArray[np.uint8]] = []
        labels: list[str] = []
        shares: list[float] = []
        for point in sources:
            derivatives = jacobian(model.decoder, point.latent)
            tangent = directions(derivatives, k)
            shares.append(float((tangent.values**2).sum() / (derivatives**2).sum()))
            for row_tiles, row_labels in _rows(generator, point, tangent, move):
                tiles += row_tiles
                labels += row_labels
        title = f"{Path(generator.path).name}  ·  tangents of the data manifold, by singular value"
        with atomic.replace_file(out) as temporary:
            grid.draw(tiles, labels, title, columns).save(temporary, format="PNG")
    subject = sources[0].name if len(sources) == 1 else f"{len(sources):,} images"
    share = sum(shares) / len(shares)
    return f"{subject}: {k} of {width} directions, {share:.1%} of the squared change: {out}"


def _rows(
    generator: Generator, point: Point, tangent: Directions, move: float | None
) -> list[tuple[list[NDArray[np.uint8]], list[str]]]:
    """Return tiles and labels of a point's row, or of three rows with moved images around it."""
    blank = np.full(generator.image_shape, 255, np.uint8)
    reconstruction = generator.decode(point.latent[None])[0]
    lead = [(blank, ""), (reconstruction, grid.tile_label(point.name))]
    if point.image is not None:
        lead = [(point.image, grid.tile_label(point.name)), (reconstruction, "reconstruction")]
    pictures = [picture(image) for image in tangent.images]
    values = [f"{value:.3g}" for value in tangent.values]
    row = ([tile for tile, _ in lead] + pictures, [label for _, label in lead] + values)
    if move is None:
        return [row]
    moved = []
    for step in (move, -move):
        latents = (point.latent + step * tangent.latents).astype(np.float32)
        row_labels = ["", "", *(f"{step:+g}" for _ in values)]
        moved.append(([blank, blank, *generator.decode(latents)], row_labels))
    return [moved[0], row, moved[1]]
