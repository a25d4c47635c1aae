"""Show tangents of the data manifold: `python -m zoo.tangents --engine vae.onnx IMAGES…`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runtime import Generator
    from zoo.applications.points import Point
    from zoo.applications.tangents import Directions


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True)
@engine_options
@click.option("-k", "--directions", "k", type=COUNT, default=6, metavar="K", help="How many.")
@click.option("--move", type=float, metavar="S", help="Also decode h ± S·v of each direction v.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run that sample:I is from.")
@click.option("--out", default="tangents.png", metavar="FILE", help="A .png.")
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and channels.")
def main(
    images: tuple[str, ...],
    engine: str,
    k: int,
    move: float | None,
    seed: int,
    out: str,
    resize: bool,
    **options: Any,
) -> None:
    """Draw the directions that touch the manifold of decoded images at each image.

    They are the left singular vectors of the decoder's Jacobian ∂g/∂h at the
    encoder's μ, under their singular values: grey pixels do not change, white
    ones become brighter and black ones darker (of colours, in each channel), each
    picture scaled to its own largest change. IMAGES are pictures, folders, .npy, .npz or IDX files,
    `seed:K` or `sample:I`. Needs PyTorch.
    """
    import math

    from zoo.applications import points, tangents
    from zoo.data import inputs
    from zoo.engines import open_generator
    from zoo.errors import ConfigError
    from zoo.images import atomic, grid
    from zoo.optional import require

    atomic.check_kind(out, ".png", "tangents are shown in a .png")
    if move is not None and not (math.isfinite(move) and move > 0):
        raise ConfigError(f"--move: expected a finite number above 0, got {move}")
    with open_generator(engine, **options) as generator:
        if k > generator.latent_width:
            raise ConfigError(f"-k: expected at most {generator.latent_width} directions, got {k}")
        skipped: list[tuple[str, str]] = []
        found = points.read(generator, images, seed, resize, skipped, **options)
        inputs.report(skipped)
        width = generator.latent_width
        columns = 2 + k
        rows = 1 if move is None else 3
        grid.plan(len(found) * rows * columns, *generator.image_shape[:2], columns)
        for module in ("torch", "onnx", "safetensors"):
            require(module, "train,export")
        from zoo.models.weights import load_engine

        model, _ = load_engine(Path(generator.path))
        tiles: list[NDArray[np.uint8]] = []
        labels: list[str] = []
        shares: list[float] = []
        for point in found:
            derivatives = tangents.jacobian(model.decoder, point.latent)
            tangent = tangents.directions(derivatives, k)
            shares.append(float((tangent.values**2).sum() / (derivatives**2).sum()))
            for its_tiles, its_labels in _rows(generator, point, tangent, move):
                tiles += its_tiles
                labels += its_labels
        title = f"{Path(generator.path).name}  ·  tangents of the data manifold, by singular value"
        with atomic.replacing(out) as temporary:
            grid.draw(tiles, labels, title, columns).save(temporary, format="PNG")
    those = found[0].name if len(found) == 1 else f"{len(found):,} images"
    share = sum(shares) / len(shares)
    click.echo(f"{those}: {k} of {width} directions, {share:.1%} of the squared change: {out}")


def _rows(
    generator: Generator, point: Point, tangent: Directions, move: float | None
) -> list[tuple[list[NDArray[np.uint8]], list[str]]]:
    """Tiles and labels of the one row of a point, or of three with the moved images around it."""
    import numpy as np

    from zoo.applications import tangents
    from zoo.applications.points import short

    blank = np.full(generator.image_shape, 255, np.uint8)
    reconstruction = generator.decode(point.latent[None])[0]
    lead = [(blank, ""), (reconstruction, short(point.name))]
    if point.image is not None:
        lead = [(point.image, short(point.name)), (reconstruction, "reconstruction")]
    pictures = [tangents.picture(image) for image in tangent.images]
    values = [f"{value:.3g}" for value in tangent.values]
    row = ([tile for tile, _ in lead] + pictures, [label for _, label in lead] + values)
    if move is None:
        return [row]
    moved = []
    for step in (move, -move):
        latents = (point.latent + step * tangent.latents).astype(np.float32)
        its_labels = ["", "", *(f"{step:+g}" for _ in values)]
        moved.append(([blank, blank, *generator.decode(latents)], its_labels))
    return [moved[0], row, moved[1]]


if __name__ == "__main__":
    main()
