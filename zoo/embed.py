"""Latents of images: `python -m zoo.embed --engine vae.onnx IMAGES… --out latents.npz`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import Command, engine_options, source_options
from zoo.tables import aligned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runtime import Encoder, Generator
    from zoo.applications.scatter import Scatter
    from zoo.data.inputs import Selection, Source
    from zoo.evaluation.pca import Comparison


@click.command(cls=Command)
@source_options
@engine_options
@click.option("--out", default="latents.npz", metavar="FILE", help="A .npz or .parquet file.")
@click.option("--scatter", metavar="FILE", help="Also draw the latents in the plane, to a .png.")
@click.option("--compare-pca", is_flag=True, help="Compare with PCA of the training images.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(
    selection: Selection,
    engine: str,
    out: str,
    scatter: str | None,
    compare_pca: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Write the latents of images, the encoder's μ, with their names and labels.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files, read
    in blocks, so there may be any number of them. The engine is an encoder, or a
    generator with its encoder beside it.

    \b
    .npz      arrays latents float32 [n, D], names, labels (if known), classes
    .parquet  columns name, label (if known), z0, z1, … float32

    --scatter shows latents of two values as they are, and wider ones by their two
    leading principal components. --compare-pca decodes the latents and prints the
    mean squared error a pixel, on [0, 1], beside that of a PCA with as many
    components, fitted to the training images of --data.
    """
    from zoo.applications import embedding
    from zoo.data.inputs import report_skipped
    from zoo.errors import ConfigError
    from zoo.optional import require
    from zoo.progress import rate

    embedding.check(out)
    if scatter is not None:
        from zoo.applications import scatter as drawing

        drawing.check(scatter)
    if compare_pca:
        if selection.data is None:
            raise ConfigError("--compare-pca needs --data SET, to fit PCA to its training images")
        require("sklearn.decomposition")
    with ExitStack() as stack:
        encoder, generator = _open(stack, engine, compare_pca, **options)
        started = time.perf_counter()
        source = selection.open(encoder.image_shape)
        cloud = None
        if scatter is not None:
            cloud = drawing.Scatter(encoder.latent_width, source.total)
        done = _embed(encoder, source, out, cloud, verbose)
        seconds = time.perf_counter() - started
        backend, title = encoder.backend, Path(encoder.path).name
        if cloud is not None and scatter is not None:
            cloud.draw(scatter, f"{title}  ·  {source.name}", source.classes)
        found = None
        if generator is not None:
            found = _compare(encoder, generator, source)
    report_skipped(source)
    those = "1 image" if done == 1 else f"{done:,} images"
    written = out if scatter is None else f"{out}, {scatter}"
    click.echo(f"{those} in {seconds:.3g} s, {rate(done, seconds)} ({backend}): {written}")
    if found is not None:
        click.echo("\n".join(table(found, title)))


def _open(
    stack: ExitStack, engine: str, decoding: bool, **options: Any
) -> tuple[Encoder, Generator | None]:
    """The encoder and, for `decoding`, the generator, both closed with `stack`."""
    if decoding:
        from zoo.inference.pairs import Pair

        pair = stack.enter_context(Pair(engine, **options))
        return pair.encoder, pair.decoder()
    from zoo.engines import open_encoder_for

    return stack.enter_context(open_encoder_for(engine, **options)), None


def _embed(encoder: Encoder, source: Source, out: str, cloud: Scatter | None, verbose: bool) -> int:
    from zoo.applications.embedding import embed
    from zoo.progress import Progress

    with Progress(source.total or 0, verbose) as progress:

        def seen(latents: NDArray[np.float32], labels: NDArray[np.int64] | None) -> None:
            progress.advance(len(latents))
            if cloud is not None:
                cloud.add(latents, labels)

        return embed(encoder, source, out, seen)


def _compare(encoder: Encoder, generator: Generator, source: Source) -> Comparison:
    from zoo.evaluation import pca

    assert source.data is not None
    fitted = pca.fit(source.data.train.images, encoder.latent_width)
    return pca.compare(encoder, generator, source, fitted)


def table(found: Comparison, name: str) -> list[str]:
    """A comparison with PCA as the lines of a small table."""
    k = str(found.width)
    if found.components != found.width:
        k += f" (PCA {found.components})"
    rows = [
        ("k", "PCA error", f"{name} error", "ratio"),
        (k, f"{found.pca:.6f}", f"{found.engine:.6f}", f"{found.ratio:.3f}"),
    ]
    said = f"mean squared error a pixel on [0, 1], {found.images:,} images"
    return [said, *aligned(rows, right=range(4))]


if __name__ == "__main__":
    main()
