"""Find images like an image: `python -m zoo.retrieve build`, then `query`; and `evaluate`."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from zoo.cli import COUNT, Command, Group, engine_options, source_options
from zoo.tables import aligned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from zoo.applications.retrieval import Index
    from zoo.data.inputs import Selection
    from zoo.evaluation.precision import Precision

_SHOWN = 16
_FRAME = 3
_QUERY_COLOR = (38, 110, 196)


class Hits(NamedTuple):
    """An image [H, W, C] uint8, and the distances and rows [k] of those nearest to it."""

    query: NDArray[np.uint8]
    distances: NDArray[np.float32]
    rows: NDArray[np.int64]


index_option = click.option(
    "--index", "index_file", required=True, metavar="INDEX", help="A file that build has written."
)
k_option = click.option("-k", type=COUNT, default=10, metavar="K", help="How many to find.")


@click.group(cls=Group)
def main() -> None:
    """Find the images whose latents are nearest to those of an image.

    The engine is an encoder, or a generator with its encoder beside it.
    """


@main.command(cls=Command, short_help="Write an index of images.")
@source_options
@engine_options
@click.option("--out", required=True, metavar="INDEX", help="The index file to write.")
@click.option(
    "--kind",
    type=click.Choice(["flat", "hnsw", "ivf"]),
    default="flat",
    help="Exact search, or the faster ones that may miss some.",
)
@click.option("--no-pictures", is_flag=True, help="Leave the images out; hits cannot be shown.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def build(
    selection: Selection,
    engine: str,
    out: str,
    kind: str,
    no_pictures: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Write an index of images: pictures, folders of them, .npy, .npz or IDX files, or --data.

    The images are read in blocks, so there may be any number of them; their latents
    are in memory. The index works with this encoder only, by the hash of its file.
    """
    from zoo.applications import retrieval
    from zoo.data.inputs import report_skipped
    from zoo.engines import open_encoder_for
    from zoo.images import atomic
    from zoo.optional import require
    from zoo.progress import Progress, rate

    atomic.check_file(out)
    require("faiss")
    with open_encoder_for(engine, **options) as encoder:
        start = time.perf_counter()
        source = selection.open(encoder.image_shape)
        with Progress(source.total or 0, verbose) as progress:
            done = retrieval.build(encoder, source, out, kind, not no_pictures, progress.advance)
        seconds = time.perf_counter() - start
        backend = encoder.backend
    report_skipped(source)
    those = "1 image" if done == 1 else f"{done:,} images"
    size = Path(out).stat().st_size / 1e6
    click.echo(
        f"{those} in {seconds:.3g} s, {rate(done, seconds)} ({backend}): "
        f"{out}, {kind}, {size:.1f} MB"
    )


@main.command(cls=Command, short_help="Print and show the images nearest to an image.")
@source_options
@engine_options
@index_option
@k_option
@click.option("--out", metavar="FILE", help=f"Show the hits of up to {_SHOWN} queries in a .png.")
def query(
    selection: Selection,
    engine: str,
    index_file: str,
    k: int,
    out: str | None,
    **options: Any,
) -> None:
    """Print the k images of an index that are nearest to each of IMAGES, and how far they are.

    Distances are Euclidean, between latents (the encoder's μ).
    """
    from zoo.applications.retrieval import Index
    from zoo.data.inputs import report_skipped
    from zoo.engines import open_encoder_for
    from zoo.errors import ConfigError
    from zoo.images import atomic
    from zoo.inference.latents import embed_blocks

    if out is not None:
        atomic.check_kind(out, ".png", "hits are shown in a .png")
    with open_encoder_for(engine, **options) as encoder:
        index = Index(index_file)
        index.check_encoder(encoder)
        if k > index.count:
            raise ConfigError(f"-k {k} is more than the {index.count} images of {index_file}")
        if out is not None and not index.has_pictures:
            raise ConfigError(f"{index_file} has no pictures to show: it was built --no-pictures")
        source = selection.open(encoder.image_shape)
        lines: list[str] = []
        shown: list[Hits] = []
        queries = 0
        for latents, block in embed_blocks(encoder, source):
            found = index.search(latents, k)
            for name, *hits in zip(block.names, block.images, *found, strict=True):
                lines += ["", name, *table(index, Hits(*hits))]
                if len(shown) < _SHOWN:
                    shown.append(Hits(*hits))
            queries += len(latents)
        title = f"{Path(encoder.path).name}  ·  nearest in {Path(index_file).name}"
    if out is not None:
        picture = _picture(index, shown, title)
        with atomic.replacing(out) as temporary:
            picture.save(temporary, format="PNG")
        more = f" (the first {len(shown)} queries)" if len(shown) < queries else ""
        lines += ["", f"{out}{more}"]
    report_skipped(source)
    click.echo("\n".join(lines[1:]))


def table(index: Index, hits: Hits) -> list[str]:
    """The hits of one query: rank, name, label if known, and distance."""
    rows = [["rank", "name", "label", "distance"]]
    for rank, (distance, row) in enumerate(zip(hits.distances, hits.rows, strict=True), 1):
        rows.append([str(rank), str(index.names[row]), _label(index, row), f"{distance:.4f}"])
    if index.labels is None:
        return aligned([row[:2] + row[3:] for row in rows], right=[0, 2])
    return aligned(rows, right=[0, 3])


def _label(index: Index, row: int) -> str:
    if index.labels is None:
        return ""
    label = int(index.labels[row])
    return index.classes[label] if 0 <= label < len(index.classes) else str(label)


def _picture(index: Index, shown: list[Hits], title: str) -> Image:
    """A row for each query: the query itself, then its hits over their distances and labels."""
    import numpy as np

    from zoo.images import grid

    pictures = iter(index.pictures(np.concatenate([hits.rows for hits in shown])))
    tiles, labels = [], []
    for hits in shown:
        tiles.append(_framed(hits.query, _QUERY_COLOR))
        labels.append("query")
        for distance, row in zip(hits.distances, hits.rows, strict=True):
            tiles.append(_framed(next(pictures), grid.BACKGROUND))
            labels.append(f"  {distance:.3g}  {_label(index, row)}".rstrip() + "  ")
    return grid.draw(tiles, labels, title, len(shown[0].rows) + 1)


def _framed(image: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The image [H, W, C], enlarged for people to see, in a frame of that colour."""
    import numpy as np

    from zoo.images.convert import display_factor, enlarge

    large = enlarge(image, display_factor(image.shape[1]))
    height, width, channels = large.shape
    framed = np.full((height + 2 * _FRAME, width + 2 * _FRAME, max(3, channels)), 255, np.uint8)
    framed[..., :3] = color
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = large
    return framed


@main.command(cls=Command, short_help="Print precision at k, in latents and in pixels.")
@engine_options
@click.option("--data", required=True, metavar="SET", help="A data set with classes.")
@click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n test images.")
@k_option
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and mode.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def evaluate(
    engine: str, data: str, count: int | None, k: int, resize: bool, verbose: bool, **options: Any
) -> None:
    """Print precision at k by class: how many of the k nearest are of the query's class.

    The test images of --data are the queries and its training images are searched,
    exactly, by their latents and, to compare with, by their raw pixels.
    """
    from zoo.data.inputs import load_data, report_skipped, split_source
    from zoo.engines import open_encoder_for
    from zoo.evaluation.precision import evaluate as measured
    from zoo.optional import require
    from zoo.progress import Progress

    require("faiss")
    with open_encoder_for(engine, **options) as encoder:
        loaded = load_data(data, encoder.image_shape, resize)
        report_skipped(loaded)
        train, queries = split_source(loaded, "train"), split_source(loaded, "test", count)
        with Progress((train.total or 0) + (queries.total or 0), verbose) as progress:
            found = measured(encoder, train, queries, k, progress.advance)
    click.echo(
        f"precision@{k}: {queries.total:,} test images of {loaded.name} among "
        f"{train.total:,} training images"
    )
    click.echo("\n".join(precision_table(found, queries.classes, queries.total or 0)))


def precision_table(found: list[Precision], classes: list[str], queries: int) -> list[str]:
    """Precision by class, over all, and queries a second, a column for each space."""
    names = [classes[i] if i < len(classes) else str(i) for i in range(len(found[0].by_class))]
    rows = [["class", *(f"{space.name} ({space.width:,})" for space in found)]]
    for i, name in enumerate(names):
        if not math.isnan(found[0].by_class[i]):
            rows.append([name, *(f"{space.by_class[i]:.3f}" for space in found)])
    rows.append(["all", *(f"{space.mean:.3f}" for space in found)])
    rows.append(["queries/s", *(f"{queries / space.seconds:,.0f}" for space in found)])
    return aligned(rows, right=range(1, len(found) + 1))


if __name__ == "__main__":
    main()
