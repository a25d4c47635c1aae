"""The graph of nearest neighbours, drawn by its own geodesic distances.

Nodes are images, edges join nearest neighbours (Deep Learning, 2016, figure 14.8). The layout is
that of Isomap (Tenenbaum, de Silva & Langford, Science 2000): distances along the graph, in two
dimensions.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection
from scipy.sparse.csgraph import shortest_path

from zoo import data
from zoo.applications import neighbours
from zoo.inference.pairs import Pair

from . import charts

IMAGES = 300
NEIGHBOURS = 4


def lay_out(distances: np.ndarray) -> np.ndarray:
    """Return places [n, 2] whose distances approximate those given [n, n]: classical scaling."""
    squares = np.square(distances)
    centred = squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    return vectors[:, :-3:-1] * np.sqrt(values[:-3:-1])


def draw(path: Path) -> None:
    """Draw the graph's largest component, and the walk from a sneaker to a shirt."""
    clothes = data.load("fashion-mnist")
    images, labels = clothes.test.images[:IMAGES], np.asarray(clothes.test.labels[:IMAGES])
    with Pair("vae.onnx") as pair:
        latents = pair.encoder.embed(images)
    joined = neighbours.graph(latents, NEIGHBOURS)
    inside = np.flatnonzero(neighbours.components(joined) == 0)
    joined, images, labels = joined[inside][:, inside], images[inside], labels[inside]
    places = lay_out(shortest_path(joined, directed=False))
    ends = [
        int(np.flatnonzero(labels == clothes.classes.index(name))[0])
        for name in ("Sneaker", "Shirt")
    ]
    walk = neighbours.walk(joined, *ends).nodes
    edges = joined.tocoo()

    figure, ((axes,),) = charts.canvas(8.6, 5.2, 1, 1)
    lines = np.stack([places[edges.row], places[edges.col]], axis=1)[edges.row < edges.col]
    axes.add_collection(
        LineCollection(lines, colors="#d8d8d8", linewidths=0.6, antialiaseds=False, zorder=1)
    )
    colours = matplotlib.colormaps["tab10"].colors
    for label, name in enumerate(clothes.classes):
        axes.plot(*places[labels == label].T, "o", ms=5, color=colours[label], label=name)
    axes.plot(*places[walk].T, color="black", lw=1.5)
    for node in walk:
        charts.place_image(axes, images[node], tuple(places[node]), color="black")
    axes.set(xlabel="geodesic coordinate 1", ylabel="geodesic coordinate 2")
    axes.set_aspect("equal", adjustable="datalim")
    figure.legend(loc="outside center right", frameon=False, fontsize=9)
    charts.save(figure, path, colours=128)
