"""The graph of nearest neighbours among latents, and shortest walks along it.

Straight lines between latents cross regions where there are no data; a path
from neighbour to neighbour stays on them (Tenenbaum, de Silva & Langford,
"A Global Geometric Framework for Nonlinear Dimensionality Reduction", Science
2000, whose geodesic distances these are).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.images import atomic, rows
from zoo.images.gather import gather
from zoo.images.rows import Row
from zoo.inference.inputs import Selection, Source, report_skipped
from zoo.inference.latents import embed
from zoo.inference.pairs import Pair
from zoo.optional import require

_ROWS = 4096


@dataclass(frozen=True)
class Walk:
    """A path along the graph: `nodes` int64 [m], from A to B, and how far each is from A.

    `distances` float64 [m] are cumulative: the first is 0, the last the length of the path.
    """

    nodes: NDArray[np.int64]
    distances: NDArray[np.float64]


def graph(latents: NDArray[Any], k: int) -> Any:
    """The k-nearest-neighbour graph of latents [n, D]: scipy.sparse.csr_array float64 [n, n].

    i and j are joined where j is among the k nearest of i, or i among those of j; the entries
    (i, j) and (j, i) are both there and hold the Euclidean distance. Equal latents are
    joined by an explicit zero, which scipy.sparse.csgraph takes for an edge of
    length 0. Raises ConfigError for a k that is not below n.
    """
    points = np.asarray(latents)
    if points.ndim != 2 or 0 in points.shape:
        raise ConfigError(f"latents: expected shape (n, D), got {points.shape}")
    if not 1 <= k < len(points):
        raise ConfigError(
            f"k: expected 1 to {len(points) - 1}, one less than the number of images, got {k}"
        )
    points = np.ascontiguousarray(points, dtype=np.float32)
    search = require("sklearn.neighbors").NearestNeighbors(n_neighbors=k).fit(points)
    found = search.kneighbors(return_distance=False)
    ends = np.stack([np.repeat(np.arange(len(points)), k), found.ravel()])
    # Each edge once for either end that has it, then once in all.
    keys = np.unique(ends.min(axis=0) * len(points) + ends.max(axis=0))
    pairs = np.stack(np.divmod(keys, len(points)), axis=1)
    lengths = _lengths(points, pairs)
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    entries = (np.concatenate([lengths, lengths]), (rows, columns))
    joined: Any = require("scipy.sparse").csr_array(entries, shape=(len(points), len(points)))
    joined.sort_indices()
    return joined


def components(joined: Any) -> NDArray[np.int64]:
    """The connected component of each node, int64 [n], numbered from the largest down."""
    csgraph = require("scipy.sparse.csgraph")
    _, found = csgraph.connected_components(joined, directed=False)
    order = np.argsort(-np.bincount(found), kind="stable")
    return np.argsort(order)[found].astype(np.int64)


def walk(joined: Any, a: int, b: int) -> Walk:
    """The shortest path from node a to node b along the graph of `graph` (Dijkstra 1959).

    Raises ConfigError for a node that is not there, and for nodes of different components,
    with the components' sizes.
    """
    count = joined.shape[0]
    for name, node in (("a", a), ("b", b)):
        if not 0 <= node < count:
            raise ConfigError(f"{name}: expected a node, 0 to {count - 1}, got {node}")
    csgraph = require("scipy.sparse.csgraph")
    away, previous = csgraph.dijkstra(joined, indices=a, return_predecessors=True)
    if not np.isfinite(away[b]):
        found = components(joined)
        sizes = np.bincount(found)
        raise ConfigError(
            f"no path leads from {a} to {b}: they are in components of {sizes[found[a]]:,} and "
            f"{sizes[found[b]]:,} of the {count:,} images ({len(sizes)} components); a larger k "
            "joins them"
        )
    nodes = [b]
    while nodes[-1] != a:
        nodes.append(int(previous[nodes[-1]]))
    path = np.array(nodes[::-1], np.int64)
    return Walk(path, away[path])


def evenly(points: NDArray[Any], count: int) -> NDArray[np.float32]:
    """`count` points at equal distances along the broken line through points [m, D], ends included.

    float32 [count, D]; count is at least 2.
    """
    line = np.asarray(points, dtype=np.float64)
    steps = np.sqrt(np.square(np.diff(line, axis=0)).sum(axis=1))
    away = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, away[-1], count)
    placed = np.stack([np.interp(wanted, away, column) for column in line.T], axis=1)
    return placed.astype(np.float32)


def _lengths(points: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Euclidean distance of each pair [m, 2] of rows, in double precision."""
    lengths = np.empty(len(pairs))
    for start in range(0, len(pairs), _ROWS):
        ends = points[pairs[start : start + _ROWS]].astype(np.float64)
        lengths[start : start + _ROWS] = np.sqrt(np.square(ends[:, 0] - ends[:, 1]).sum(axis=1))
    return lengths


def draw_walk(
    selection: Selection,
    engine: str,
    *,
    k: int = 10,
    between: tuple[str, str] | None = None,
    steps: int = 10,
    out: str | None = None,
    save: str | None = None,
    **options: Any,
) -> list[str]:
    """Join the images that are selected to their neighbours, and draw a walk between two of them.

    The arguments are the options of `zoo.neighbours`, `options` those of runtime.Generator. Returns
    what was found, as lines of text. Raises ConfigError, DataError, OutputError, and the errors of
    Pair.
    """
    if out is not None and between is None:
        raise ConfigError("--out: expected with --walk, whose picture it is")
    out = out or "walk.png"
    atomic.check_suffix(out if between else None, ".png", "a walk is shown in a file .png")
    atomic.check_suffix(save, ".npz", "a graph is kept in a file .npz")
    with Pair(engine, **options) as pair:
        source = selection.open(pair.encoder.image_shape)

        points, names = embed(pair.encoder, source)
        ends = [_node(end, names) for end in between or ()]
        if between and ends[0] == ends[1]:
            raise ConfigError(f"--walk: expected two images, got {between[0]} and {between[1]}")
        joined = graph(points, k)
        path = walk(joined, *ends) if between else None
        report_skipped(source)
        said = [_described(joined, source, k)]
        if between and path:
            straight = _distance(points[ends[0]], points[ends[1]])
            said.append(_compared(path, straight, between))
            title = f"{pair.title}  ·  {source.name}  ·  {between[0]} to {between[1]}  ·  k = {k}"
            picture = rows.draw(_rows(pair, source, points, path, straight, steps), title)
    with ExitStack() as outputs:
        if save is not None:
            _write(outputs.enter_context(atomic.replace_file(save)), joined)
        if between:
            picture.save(outputs.enter_context(atomic.replace_file(out)), format="PNG")
    written = [path for path in (out if between else None, save) if path]
    return [*said, ", ".join(written)] if written else said


def _node(text: str, names: list[str]) -> int:
    """The index of the image that `text` names, or whose index it is. Raises ConfigError."""
    found = [i for i, name in enumerate(names) if name == text]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"--walk {text}: {len(found)} images have this name; give the place of one, "
            f"such as {found[0]}"
        )
    if text.isascii() and text.isdecimal() and len(text) < 19 and int(text) < len(names):
        return int(text)
    raise ConfigError(
        f"--walk {text}: expected the name of an image, such as {names[0]}, or its place, "
        f"0 to {len(names) - 1}"
    )


def _described(joined: Any, source: Source, k: int) -> str:
    sizes = np.bincount(components(joined))
    parts = "connected" if len(sizes) == 1 else f"{len(sizes)} components, the largest {sizes[0]:,}"
    return (
        f"{joined.shape[0]:,} images of {source.name}, each with its {k} nearest: "
        f"{joined.nnz // 2:,} edges of mean length {joined.data.mean():.3f}, {parts}"
    )


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(a.astype(np.float64) - b))


def _compared(path: Walk, straight: float, walk: tuple[str, str]) -> str:
    steps, length = len(path.nodes) - 1, path.distances[-1]
    times = f", {length / straight:.2f} times as far" if straight else ""
    return (
        f"{walk[0]} to {walk[1]}: {steps} step{'s' if steps > 1 else ''}, {length:.3f} in all; "
        f"{straight:.3f} in a straight line{times}"
    )


def _rows(
    pair: Pair,
    source: Source,
    points: NDArray[np.float32],
    path: Walk,
    straight: float,
    steps: int,
) -> list[Row]:
    """The images on the path and, with a generator, decoded points of it and of the straight."""
    length = path.distances[-1]
    real = gather(source, path.nodes)
    made = [
        Row(
            f"images from neighbour to neighbour: {len(real) - 1} steps, {length:.2f} in all",
            list(real),
            _labels(path.distances),
        )
    ]
    if pair.generator is None:
        return made
    along = pair.generator.decode(evenly(points[path.nodes], steps + 1))
    line = pair.generator.interpolate(points[path.nodes[0]], points[path.nodes[-1]], steps)
    made.append(
        Row(
            "decoded, at even distances along that path",
            list(along),
            _labels(np.linspace(0, length, steps + 1)),
        )
    )
    made.append(
        Row(
            f"decoded, at even distances along the straight line: {straight:.2f} in all",
            list(line),
            _labels(np.linspace(0, straight, steps + 1)),
        )
    )
    return made


def _labels(distances: NDArray[np.float64]) -> list[str]:
    return [f"{distance:.2f}" for distance in distances]


def _write(path: Path, joined: Any) -> None:
    with path.open("xb") as file:
        require("scipy.sparse").save_npz(file, joined)


__all__ = ["Walk", "components", "draw_walk", "evenly", "graph", "walk"]
