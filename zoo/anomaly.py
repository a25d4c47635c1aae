"""Find images unlike those an autoencoder knows: `python -m zoo.anomaly --engine vae.onnx …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import Command, Integer, engine_options, source_options

if TYPE_CHECKING:
    from zoo.inference.inputs import Selection

TOP = Integer(1, 256, "1 to 256 images")


@click.command(cls=Command)
@source_options
@engine_options
@click.option(
    "--normal",
    metavar="PATH_OR_SET",
    help="Normal images: a file, a folder, or the test split of a data set.  "
    "[default: the set that the engine was trained on]",
)
@click.option("--fpr", type=float, default=0.05, metavar="P", help="Share of false alarms.")
@click.option("--held-out", metavar="CLASS", help="Measure how well this class of --data is found.")
@click.option("--per-class", is_flag=True, help="Measure that for every class of --data.")
@click.option("--top", type=TOP, default=16, metavar="M", help="Images to name and to show.")
@click.option("--out", default="anomalies.png", metavar="FILE", help="A .png of those images.")
@click.option("--scores", metavar="FILE", help="Write the score of every image to this .csv.")
def main(selection: Selection, engine: str, **options: Any) -> None:
    """Score images by how badly the engine reconstructs them, and show the worst.

    The score is the mean squared error between an image and its reconstruction,
    of values in [0, 1]. An image is called anomalous above a threshold, the lowest
    that no more than the share --fpr of the normal images is above. The picture has
    the images of the highest scores, their reconstructions, and where these differ.

    With --held-out CLASS, for an engine that was trained without that class, prints the
    area under the ROC curve between its images and all others, and the share of them
    that is found; the others are then the normal images, unless --normal names some.
    The .csv of --scores has name, score, class where it is known, and anomalous (0 or 1)
    where there is one threshold.
    """
    from zoo.applications.anomaly import find_anomalies

    click.echo("\n".join(find_anomalies(selection, engine, **options)))


if __name__ == "__main__":
    main()
