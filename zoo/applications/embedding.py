"""Writing the latents of any number of images to a file, in constant memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Encoder, Generator
from zoo.applications import scatter as drawing
from zoo.engines import open_encoder_for
from zoo.errors import ConfigError, OutputError
from zoo.evaluation import pca
from zoo.images import archive, atomic
from zoo.inference.inputs import Selection, Source, report_skipped
from zoo.inference.latents import Latents, embed_blocks
from zoo.inference.pairs import Pair
from zoo.optional import require
from zoo.progress import Progress, number_of_images, rate

Labels = NDArray[np.int64]

FORMATS = (".npz", ".parquet")

_ROW_GROUP = 16_384
_ROW_GROUP_VALUES = 2**20


Write = Callable[[Latents, Sequence[str], Labels | None], None]
"""Function that takes the next latents float32 [k, D], their names, and their labels or None."""


def check(path: str) -> None:
    """Raise OutputError as `open_writer`, or ConfigError without pyarrow; create nothing."""
    if Path(path).suffix.lower() not in FORMATS:
        raise OutputError(f"cannot write {path}: expected a {' or '.join(FORMATS)} file")
    atomic.check_file(path)
    if path.lower().endswith(".parquet"):
        require("pyarrow.parquet")


def open_writer(
    path: str, width: int, classes: Sequence[str] = (), labelled: bool = False
) -> AbstractContextManager[Write]:
    """Open the file `path` for latents, by its suffix; the context manager yields `Write`.

    .npz: `latents` float32 [n, D], `names` and `classes` strings, and `labels` int64
    [n] if `labelled`. .parquet: the columns name, label (int64, if `labelled`), z0 …
    z{D-1} (float32), in row groups, and the classes as JSON in the file's metadata.
    The file appears when the body ends without an error. Raises OutputError.
    """
    check(path)
    open_format = _parquet if path.lower().endswith(".parquet") else _npz
    return open_format(path, width, list(classes), labelled)


def embed(
    encoder: Encoder,
    source: Source,
    out: str,
    seen: Callable[[Latents, Labels | None], None] = lambda latents, labels: None,
) -> int:
    """Write the latents of all images of `source` to `out`, and return their number.

    `seen` is called with each block of latents and its labels. Raises as `open_writer`
    and `zoo.inference.latents.embed_blocks`.
    """
    done = 0
    labels = source.labels
    with open_writer(out, encoder.latent_width, source.classes, labels is not None) as write:
        for latents, block in embed_blocks(encoder, source):
            block_labels = None if labels is None else labels[done : done + len(latents)]
            write(latents, block.names, block_labels)
            seen(latents, block_labels)
            done += len(latents)
    return done


@contextmanager
def _npz(path: str, width: int, classes: list[str], labelled: bool) -> Iterator[Write]:
    with archive.create(path) as file:
        add_latents = file.add_rows("latents", np.float32, (width,))
        add_names = file.add_strings("names")
        add_labels = file.add_rows("labels", np.int64) if labelled else None

        def write(latents: Latents, names: Sequence[str], labels: Labels | None) -> None:
            add_latents(latents)
            add_names(names)
            if add_labels is not None and labels is not None:
                add_labels(labels)

        yield write
        file.add_array("classes", np.array(classes, dtype=np.str_))


@contextmanager
def _parquet(path: str, width: int, classes: list[str], labelled: bool) -> Iterator[Write]:
    pyarrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    columns = [("name", pyarrow.string())] + [("label", pyarrow.int64())] * labelled
    columns += [(f"z{i}", pyarrow.float32()) for i in range(width)]
    schema = pyarrow.schema(columns, metadata={"classes": json.dumps(classes, ensure_ascii=False)})
    rows = max(1, min(_ROW_GROUP, _ROW_GROUP_VALUES // width))
    pending: list[Any] = []
    with (
        atomic.replace_file(path) as temporary,
        parquet.ParquetWriter(temporary, schema, use_dictionary=["label"]) as file,
    ):

        def flush() -> None:
            if pending:
                table = pyarrow.concat_tables(pending)
                pending.clear()
                file.write_table(table, row_group_size=len(table))

        def write(latents: Latents, names: Sequence[str], labels: Labels | None) -> None:
            arrays = [pyarrow.array(names)] + ([pyarrow.array(labels)] if labelled else [])
            arrays += [pyarrow.array(column) for column in np.ascontiguousarray(latents.T)]
            pending.append(pyarrow.Table.from_arrays(arrays, schema=schema))
            if sum(map(len, pending)) >= rows:
                flush()

        yield write
        flush()


def embed_images(
    selection: Selection,
    engine: str,
    *,
    out: str = "latents.npz",
    scatter: str | None = None,
    compare_pca: bool = False,
    verbose: bool = False,
    **options: Any,
) -> list[str]:
    """Write the latents of the selected images to `out`.

    The arguments are the options of `zoo.embed`, `options` those of runtime.Encoder. Returns lines
    of text. Raises ConfigError, DataError, OutputError, and the errors of
    zoo.engines.open_encoder_for.
    """
    check(out)
    if scatter is not None:
        drawing.check(scatter)
    if compare_pca:
        if selection.data is None:
            raise ConfigError("--compare-pca requires --data SET, to fit PCA to training images")
        require("sklearn.decomposition")
    with ExitStack() as stack:
        encoder, generator = _open_engines(stack, engine, compare_pca, **options)
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
        comparison = None
        if generator is not None:
            assert source.data is not None
            fitted = pca.fit(source.data.train.images, encoder.latent_width)
            comparison = pca.compare(encoder, generator, source, fitted)
    report_skipped(source)
    written = out if scatter is None else f"{out}, {scatter}"
    speed = f"{seconds:.3g} s, {rate(done, seconds)} ({backend})"
    summary = f"{number_of_images(done)} in {speed}: {written}"
    return [summary, *(pca.table(comparison, title) if comparison is not None else [])]


def _open_engines(
    stack: ExitStack, engine: str, decoding: bool, **options: Any
) -> tuple[Encoder, Generator | None]:
    """Open the encoder and, for `decoding`, the generator, both closed with `stack`."""
    if decoding:
        pair = stack.enter_context(Pair(engine, **options))
        return pair.encoder, pair.decoder()

    return stack.enter_context(open_encoder_for(engine, **options)), None


def _embed(
    encoder: Encoder, source: Source, out: str, cloud: drawing.Scatter | None, verbose: bool
) -> int:
    with Progress(source.total or 0, verbose) as progress:

        def seen(latents: NDArray[np.float32], labels: NDArray[np.int64] | None) -> None:
            progress.advance(len(latents))
            if cloud is not None:
                cloud.add(latents, labels)

        return embed(encoder, source, out, seen)
