"""k-means in the space of pixels beside k-means in the space of latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from zoo import data
from zoo.applications.clustering import Clusters, kmeans
from zoo.evaluation import agreement
from zoo.inference.latents import pixels
from zoo.inference.pairs import Pair

from . import charts

CLUSTERS = 10


def match(labels: np.ndarray, clusters: Clusters) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of each class in the clusters [classes, clusters], and the clusters' order.

    Shares of a class add up to 1. Cluster i of the order is the one matched with class i.
    """
    counts = agreement.contingency(labels, clusters.assignment)
    order = linear_sum_assignment(counts, maximize=True)[1]
    return (counts / counts.sum(1, keepdims=True))[:, order], order


def draw(path: Path) -> None:
    """Draw which classes the clusters of either space hold, and the clusters' centres."""
    clothes = data.load("fashion-mnist")
    labels = np.asarray(clothes.test.labels)
    with Pair("vae.onnx") as pair:
        on_latents = kmeans(pair.encoder.embed(clothes.test.images), CLUSTERS)
        decoded = pair.decoder().decode(on_latents.centres)
    on_pixels = kmeans(pixels(clothes.test.images), CLUSTERS)
    means = np.rint(255 * on_pixels.centres).astype(np.uint8).reshape(decoded.shape)
    figure, (panels,) = charts.canvas(10, 5.3, 1, 2, sharey=True)
    for axes, clusters, centres, name in (
        (panels[0], on_pixels, means, "pixels"),
        (panels[1], on_latents, decoded, "latents of vae"),
    ):
        shares, order = match(labels, clusters)
        scores = agreement.scores(labels, clusters.assignment)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.05:
                ink = "white" if share > 0.6 else "black"
                text = f"{100 * share:.0f}"
                axes.text(column, row, text, color=ink, ha="center", va="center", fontsize=8)
        for column, cluster in enumerate(order):
            charts.place_image(
                axes, centres[cluster], (column, CLUSTERS - 0.4),
                box_alignment=(0.5, 1), annotation_clip=False,
            )  # fmt: skip
        title = f"k-means on {name}: accuracy {scores.accuracy:.2f}, NMI {scores.nmi:.2f}"
        axes.set_title(title)
        axes.set_xlabel("centres of the clusters", labelpad=42)
        charts.hide_ticks(axes)
    panels[0].set_yticks(range(len(clothes.classes)), clothes.classes)
    panels[0].set_ylabel("class, % of its images in each cluster")
    charts.save(figure, path)
