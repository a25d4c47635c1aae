"""Cluster images by latents: `python -m zoo.cluster --engine vae.onnx --data fashion-mnist`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command, Integer, engine_options, source_options

if TYPE_CHECKING:
    from zoo.inference.inputs import Selection

CLUSTERS = Integer(1, 256, "1 to 256 clusters")
SEED = Integer(0, 2**32 - 1, "an integer of 32 bits, 0 to 2**32 - 1")
SHOWN = Integer(1, 64, "1 to 64 images")


@click.command(cls=Command)
@source_options
@engine_options
@click.option("-k", type=CLUSTERS, default=10, metavar="K", help="Number of clusters.")
@click.option("--seed", type=SEED, default=0, help="Seed of the initial centres.")
@click.option("--restarts", type=COUNT, default=10, help="Runs of k-means; the best one is used.")
@click.option(
    "--standardise/--no-standardise", default=False, help="Scale every latent to variance 1 first."
)
@click.option(
    "--pixels/--no-pixels", default=True, help="Also cluster pixels if classes are known."
)
@click.option("--shown", type=SHOWN, default=15, metavar="M", help="Images shown per cluster.")
@click.option("--out", default="clusters.png", metavar="FILE", help="A .png, one row per cluster.")
@click.option("--assign", metavar="FILE", help="Write the clusters to this .npz.")
def main(selection: Selection, engine: str, **options: Any) -> None:
    """Cluster images by k-means on their latents (the encoder's μ), without using classes.

    If the classes are known, the command prints the agreement of the clusters with them,
    next to k-means on pixels: the accuracy of the best matching of clusters and classes,
    the normalised mutual information and the adjusted Rand index. The picture shows the
    images nearest to each centre and, if the generator is available, the decoded centre.
    Standardisation is off by default, since it would give unused dimensions of a VAE the
    same weight as the others.
    The .npz of --assign has `assignment`, `centres`, `names`, and `labels` if known.
    """
    from zoo.applications.clustering import cluster_images

    click.echo("\n".join(cluster_images(selection, engine, **options)))


if __name__ == "__main__":
    main()
