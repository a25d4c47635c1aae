"""Image retrieval by latents: building an index, querying it, and measuring precision."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.applications.retrieval import Index, build
from zoo.engines import open_encoder_for
from zoo.errors import ConfigError
from zoo.evaluation import precision
from zoo.images import atomic, grid
from zoo.images.convert import display_factor, enlarge
from zoo.inference.inputs import Selection, load_data, report_skipped, split_source
from zoo.inference.latents import embed_blocks
from zoo.optional import require
from zoo.progress import Progress, number_of_images, rate
from zoo.tables import align_columns

if TYPE_CHECKING:
    from PIL.Image import Image

_SHOWN = 16
_FRAME = 3
_QUERY_COLOR = (38, 110, 196)


class Hits(NamedTuple):
    """Query image [H, W, C] uint8, and the distances and rows [k] of its nearest images."""

    query: NDArray[np.uint8]
    distances: NDArray[np.float32]
    rows: NDArray[np.int64]


def build_index(
    selection: Selection,
    engine: str,
    out: str,
    *,
    kind: str = "flat",
    no_pictures: bool = False,
    verbose: bool = False,
    **options: Any,
) -> str:
    """Write an index of the selected images to `out`, and return a summary line.

    The arguments are the options of `zoo.retrieve build`, `options` those of runtime.Encoder.
    Raises ConfigError, DataError, OutputError, and the errors of zoo.engines.open_encoder_for.
    """
    atomic.check_file(out)
    require("faiss")
    with open_encoder_for(engine, **options) as encoder:
        start = time.perf_counter()
        source = selection.open(encoder.image_shape)
        with Progress(source.total or 0, verbose) as progress:
            done = build(encoder, source, out, kind, not no_pictures, progress.advance)
        seconds = time.perf_counter() - start
        backend = encoder.backend
    report_skipped(source)
    size = Path(out).stat().st_size / 1e6
    return (
        f"{number_of_images(done)} in {seconds:.3g} s, {rate(done, seconds)} ({backend}): "
        f"{out}, {kind}, {size:.1f} MB"
    )


def find_similar(
    selection: Selection,
    engine: str,
    index_file: str,
    *,
    k: int = 10,
    out: str | None = None,
    **options: Any,
) -> list[str]:
    """Find the images of an index that are nearest to the selected ones; return lines of text.

    The arguments are the options of `zoo.retrieve query`, `options` those of runtime.Encoder.
    Raises ConfigError, DataError, OutputError, and the errors of zoo.engines.open_encoder_for.
    """
    if out is not None:
        atomic.check_suffix(out, ".png", "the picture of hits must be a .png")
    with open_encoder_for(engine, **options) as encoder:
        index = Index(index_file)
        index.check_encoder(encoder)
        if k > index.count:
            raise ConfigError(f"-k {k} is more than the {index.count} images of {index_file}")
        if out is not None and not index.has_pictures:
            raise ConfigError(f"{index_file} was built with --no-pictures, so hits cannot be shown")
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
        with atomic.replace_file(out) as temporary:
            picture.save(temporary, format="PNG")
        more = f" (the first {len(shown)} queries)" if len(shown) < queries else ""
        lines += ["", f"{out}{more}"]
    report_skipped(source)
    return lines[1:]


def table(index: Index, hits: Hits) -> list[str]:
    """Format the hits of a query as a table of rank, name, label if known, and distance."""
    rows = [["rank", "name", "label", "distance"]]
    for rank, (distance, row) in enumerate(zip(hits.distances, hits.rows, strict=True), 1):
        rows.append([str(rank), str(index.names[row]), _label(index, row), f"{distance:.4f}"])
    if index.labels is None:
        return align_columns([row[:2] + row[3:] for row in rows], right=[0, 2])
    return align_columns(rows, right=[0, 3])


def _label(index: Index, row: int) -> str:
    if index.labels is None:
        return ""
    label = int(index.labels[row])
    return index.classes[label] if 0 <= label < len(index.classes) else str(label)


def _picture(index: Index, shown: list[Hits], title: str) -> Image:
    """Draw a row for each query, followed by its hits with distances and labels."""
    pictures = iter(index.pictures(np.concatenate([hits.rows for hits in shown])))
    tiles, labels = [], []
    for hits in shown:
        tiles.append(_add_frame(hits.query, _QUERY_COLOR))
        labels.append("query")
        for distance, row in zip(hits.distances, hits.rows, strict=True):
            tiles.append(_add_frame(next(pictures), grid.BACKGROUND))
            labels.append(f"  {distance:.3g}  {_label(index, row)}".rstrip() + "  ")
    return grid.draw(tiles, labels, title, len(shown[0].rows) + 1)


def _add_frame(image: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Enlarge an image [H, W, C] and add a frame of that colour."""
    large = enlarge(image, display_factor(image.shape[1]))
    height, width, channels = large.shape
    framed = np.full((height + 2 * _FRAME, width + 2 * _FRAME, max(3, channels)), 255, np.uint8)
    framed[..., :3] = color
    framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = large
    return framed


def measure_precision(
    engine: str,
    data: str,
    *,
    count: int | None = None,
    k: int = 10,
    resize: bool = False,
    verbose: bool = False,
    **options: Any,
) -> list[str]:
    """Measure precision at k on the test images of a set, by latents and by pixels.

    The arguments are the options of `zoo.retrieve evaluate`, `options` those of runtime.Encoder.
    Returns lines of text. Raises ConfigError, DataError, and the errors of
    zoo.engines.open_encoder_for.
    """
    require("faiss")
    with open_encoder_for(engine, **options) as encoder:
        loaded = load_data(data, encoder.image_shape, resize)
        report_skipped(loaded)
        train, queries = split_source(loaded, "train"), split_source(loaded, "test", count)
        with Progress((train.total or 0) + (queries.total or 0), verbose) as progress:
            results = precision.evaluate(encoder, train, queries, k, progress.advance)
    summary = (
        f"precision@{k}: {queries.total:,} test images of {loaded.name} among "
        f"{train.total:,} training images"
    )
    return [summary, *precision.table(results, queries.classes, queries.total or 0)]
