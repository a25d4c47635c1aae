"""k-means on latents."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.evaluation import agreement
from zoo.images import atomic, rows
from zoo.images.gather import gather
from zoo.images.rows import Row
from zoo.images.text import shorten
from zoo.inference.inputs import Selection, Source, report_skipped
from zoo.inference.latents import embed_blocks
from zoo.inference.latents import pixels as as_pixels
from zoo.inference.pairs import Pair
from zoo.optional import require
from zoo.progress import Progress
from zoo.tables import align_columns

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """k clusters of n vectors, the largest first.

    assignment: int64 [n], the cluster of each vector; centres: float32 [k, D], the means of the
    members in the original units; distances: float64 [n], from each vector to its centre; inertia:
    the sum of their squares. Distances are those of k-means, so of standardised vectors if any.
    """

    assignment: Labels
    centres: NDArray[np.float32]
    distances: NDArray[np.float64]
    inertia: float

    def members(self, cluster: int) -> Labels:
        """Return the indices of a cluster's members, nearest to the centre first."""
        inside = np.flatnonzero(self.assignment == cluster)
        return inside[np.argsort(self.distances[inside], kind="stable")]


def kmeans(
    vectors: NDArray[Any], k: int, seed: int = 0, restarts: int = 10, standardise: bool = False
) -> Clusters:
    """Run k-means on vectors [n, D], and return the best of `restarts` runs by inertia.

    Initialised by k-means++ (Arthur & Vassilvitskii, SODA 2007) with a 32-bit `seed`, followed by
    Lloyd's iterations. `standardise` scales every dimension to mean 0 and variance 1 first. Raises
    ConfigError for a k above the number of different vectors.
    """
    points = _check_vectors(vectors)
    if not 1 <= k <= len(points):
        raise ConfigError(f"k: expected 1 to {len(points)}, the number of images, got {k}")
    if standardise:
        spread = points.std(axis=0, dtype=np.float64)
        points = (points - points.mean(axis=0, dtype=np.float64)) / np.where(spread, spread, 1)
    cluster = require("sklearn.cluster")
    with warnings.catch_warnings():
        # An error below replaces the warning about fewer different vectors than clusters.
        warnings.simplefilter("ignore")
        fitted = cluster.KMeans(k, n_init=restarts, random_state=seed).fit(points)
    sizes = np.bincount(fitted.labels_, minlength=k)
    if not sizes.all():
        raise ConfigError(
            f"k: expected at most {np.count_nonzero(sizes)}, the number of different images, "
            f"got {k}"
        )
    order = np.argsort(-sizes, kind="stable")
    assignment = np.argsort(order)[fitted.labels_].astype(np.int64)
    to_centre = points - fitted.cluster_centers_[fitted.labels_]
    return Clusters(
        assignment=assignment,
        centres=np.stack(
            [vectors[assignment == i].mean(axis=0, dtype=np.float64) for i in range(k)]
        ).astype(np.float32),
        distances=np.sqrt(np.square(to_centre, dtype=np.float64).sum(axis=1)),
        inertia=float(fitted.inertia_),
    )


def _check_vectors(vectors: NDArray[Any]) -> NDArray[np.float32]:
    points = np.asarray(vectors)
    if points.ndim != 2 or 0 in points.shape:
        raise ConfigError(f"vectors: expected shape (n, D), got {points.shape}")
    if not np.isfinite(points).all():
        raise ConfigError("vectors: expected finite numbers, got NaN or infinity")
    return np.ascontiguousarray(points, dtype=np.float32)


def cluster_images(
    selection: Selection,
    engine: str,
    *,
    k: int = 10,
    seed: int = 0,
    restarts: int = 10,
    standardise: bool = False,
    pixels: bool = True,
    shown: int = 15,
    out: str = "clusters.png",
    assign: str | None = None,
    **options: Any,
) -> list[str]:
    """Cluster the selected images by their latents, and draw the clusters to `out`.

    The arguments are the options of `zoo.cluster`, `options` those of runtime.Generator. Returns
    lines of text. Raises ConfigError, DataError, OutputError, and the errors of Pair.
    """
    atomic.check_suffix(out, ".png", "the picture of clusters must be a .png")
    atomic.check_suffix(assign, ".npz", "the assignment must be written to an .npz")
    with Pair(engine, **options) as pair:
        source = selection.open(pair.encoder.image_shape)
        rows.plan([shown + 1] * k, *pair.encoder.image_shape[:2], columns=shown + 1)

        keep = pixels and source.labels is not None
        latents, names, flat = _embed(pair, source, keep)
        clusters = kmeans(latents, k, seed, restarts, standardise)
        scores: dict[str, agreement.Scores] = {}
        if source.labels is not None:
            kind = "latents, standardised" if standardise else "latents"
            scores[kind] = agreement.scores(source.labels, clusters.assignment)
        if flat is not None and source.labels is not None:
            on_pixels = kmeans(flat, k, seed, restarts)
            scores["pixels"] = agreement.scores(source.labels, on_pixels.assignment)
            del flat
        title = f"{pair.title}  ·  {source.name}  ·  k-means on latents, k = {k}"
        report_skipped(source)
        picture = rows.draw(_rows(pair, source, clusters, names, shown), title, shown + 1)
    with ExitStack() as outputs:
        if assign is not None:
            _write(outputs.enter_context(atomic.replace_file(assign)), clusters, names, source)
        picture.save(outputs.enter_context(atomic.replace_file(out)), format="PNG")
    summary = f"{len(names):,} images of {source.name} in {k} cluster{'s' if k > 1 else ''}"
    return [summary, *_table(scores), out if assign is None else f"{out}, {assign}"]


def _embed(
    pair: Pair, source: Source, keep: bool
) -> tuple[NDArray[np.float32], list[str], NDArray[np.float32] | None]:
    """Return latents [n, D], names, and with `keep` also the pixels [n, H·W·C] in [0, 1]."""
    latents, vectors, names = [], [], list[str]()
    with Progress(source.total or 0) as progress:
        for block_latents, block in embed_blocks(pair.encoder, source):
            latents.append(block_latents)
            names += block.names
            if keep:
                vectors.append(as_pixels(block.images))
            if source.total:
                progress.advance(len(block_latents))
    return np.concatenate(latents), names, np.concatenate(vectors) if keep else None


def _rows(
    pair: Pair, source: Source, clusters: Clusters, names: list[str], shown: int
) -> list[Row]:
    """Return one row per cluster: the decoded centre, if possible, and the nearest members."""
    nearest = [clusters.members(i)[:shown] for i in range(len(clusters.centres))]
    pictures = iter(gather(source, np.concatenate(nearest)))
    centres = None if pair.generator is None else pair.generator.decode(clusters.centres)
    result = []
    for cluster, members in enumerate(nearest):
        tiles = [next(pictures) for _ in members]
        labels = [
            shorten(names[i] if source.labels is None else source.class_name(source.labels[i]))
            for i in members
        ]
        if centres is not None:
            tiles, labels = [centres[cluster], *tiles], ["centre", *labels]
        result.append(Row(_heading(cluster, source, clusters), tiles, labels))
    return result


def _heading(cluster: int, source: Source, clusters: Clusters) -> str:
    """Format `3: 1,203 images  ·  57 % Shirt, 30 % Pullover`, with the two largest classes."""
    inside = clusters.assignment == cluster
    size = int(inside.sum())
    text = f"{cluster}: {size:,} image{'s' if size > 1 else ''}"
    if source.labels is None:
        return text
    counts = np.bincount(source.labels[inside])
    most = [i for i in np.argsort(-counts, kind="stable")[:2] if counts[i]]
    return f"{text}  ·  " + ", ".join(
        f"{counts[i] / size:.0%} {source.class_name(i)}" for i in most
    )


def _table(scores: dict[str, agreement.Scores]) -> list[str]:
    if not scores:
        return []
    rows = [("", "accuracy", "NMI", "ARI")]
    for kind, score in scores.items():
        rows.append((kind, f"{score.accuracy:.3f}", f"{score.nmi:.3f}", f"{score.ari:.3f}"))
    return align_columns(rows, right=range(1, 4))


def _write(path: Path, clusters: Clusters, names: list[str], source: Source) -> None:
    arrays: dict[str, Any] = {
        "assignment": clusters.assignment,
        "centres": clusters.centres,
        "names": np.array(names),
    }
    if source.labels is not None:
        arrays["labels"] = source.labels
    with path.open("xb") as file:
        np.savez_compressed(file, **arrays)
