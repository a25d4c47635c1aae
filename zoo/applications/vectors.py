"""Creation, training and safe deserialisation of faiss indexes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError, DataError
from zoo.optional import require

KINDS = ("flat", "hnsw", "ivf")
"""Exact search, a neighbour graph (HNSW), and inverted lists, of which only some are searched."""

# The first bytes of each kind in the output of faiss.serialize_index.
_START = {"flat": b"IxF2", "hnsw": b"IHNf", "ivf": b"IwFl"}

_HNSW_LINKS = 32
_IVF_LEAST = 39  # vectors per list, below which faiss warns about its centres


def create(kind: str, width: int) -> Any:
    """Create an empty index for vectors float32 [k, width], or None for ivf (see `inverted_lists`).

    Raises ConfigError for another kind, or if faiss is missing.
    """
    faiss = require("faiss")
    if kind not in KINDS:
        raise ConfigError(f"kind: expected one of {', '.join(KINDS)}, got {kind}")
    if kind == "hnsw":
        return faiss.IndexHNSWFlat(width, _HNSW_LINKS)
    return faiss.IndexFlatL2(width) if kind == "flat" else None


def inverted_lists(vectors: NDArray[np.float32]) -> Any:
    """Create an ivf index of vectors [n, width] that searches an eighth of its lists."""
    faiss = require("faiss")
    count, width = vectors.shape
    lists = max(1, min(round(4 * count**0.5), count // _IVF_LEAST))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(width), width, lists)
    index.cp.min_points_per_centroid = 1
    index.train(vectors)
    index.add(vectors)
    index.nprobe = max(1, lists // 8)
    return index


def deserialize(content: NDArray[Any], kind: str, count: int, width: int) -> Any:
    """Deserialise the bytes `content` to an index of a kind with `count` vectors of `width` values.

    Raises DataError for anything else. faiss checks only some of the numbers that it reads, so
    this function also checks the links of a graph, which could lead out of bounds.
    """
    faiss = require("faiss")
    start = content[:4].tobytes() if content.dtype == np.uint8 and content.ndim == 1 else b""
    if start != _START[kind]:
        raise DataError(f"it does not contain an index of the kind {kind}")
    try:
        index = faiss.deserialize_index(content)
        sound = (index.ntotal, index.d) == (count, width) and (index.metric_type == faiss.METRIC_L2)
        if kind == "hnsw":
            sound = sound and _is_flat(index.storage, count, width) and _graph_is_sound(index)
        elif kind == "ivf":
            sound = sound and _is_flat(index.quantizer, index.nlist, width)
            sound = sound and index.nprobe > 0 and _lists_are_sound(index)
    except RuntimeError as error:
        raise DataError(str(error)) from error
    if not sound:
        raise DataError("its parts are inconsistent")
    return index


def _is_flat(index: Any, count: int, width: int) -> bool:
    faiss = require("faiss")
    inner = faiss.downcast_index(index)
    return isinstance(inner, faiss.IndexFlat) and (inner.ntotal, inner.d) == (count, width)


def _lists_are_sound(index: Any) -> bool:
    """Return True if every vector is in exactly one list."""
    array = require("faiss").vector_to_array
    if index.invlists.compute_ntotal() != index.ntotal:
        return False
    index.make_direct_map()  # raises for numbers of missing vectors
    places = array(index.direct_map.array)
    return len(places) == index.ntotal and bool((places >= 0).all())


def _graph_is_sound(index: Any) -> bool:
    """Return True if every link leads to a vector on the level of the link."""
    array = require("faiss").vector_to_array
    graph = index.hnsw
    levels, links = array(graph.levels), array(graph.neighbors)
    # Vector i has 2·M links on level 0, then M on each level below levels[i].
    ends = array(graph.cum_nneighbor_per_level)
    expected = _HNSW_LINKS * np.r_[0, np.arange(2, len(ends) + 1)]
    if len(levels) != index.ntotal or len(ends) < 2 or not np.array_equal(ends, expected):
        return False
    if levels.min() < 1 or levels.max() >= len(ends):
        return False
    offsets = np.r_[0, np.cumsum(ends[levels])]
    if not np.array_equal(array(graph.offsets), offsets) or len(links) != offsets[-1]:
        return False
    if links.min() < -1 or links.max() >= index.ntotal:
        return False
    entry = graph.entry_point
    if not 0 <= entry < index.ntotal or not levels[entry] == levels.max() == graph.max_level + 1:
        return False
    for level in range(1, int(levels.max())):
        rows = np.flatnonzero(levels > level)
        inside = np.arange(ends[level], ends[level + 1])
        above = links[offsets[rows][:, None] + inside]
        if (levels[above[above >= 0]] <= level).any():
            return False
    return True
