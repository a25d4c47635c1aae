"""Find anomalous images with an autoencoder: `python -m zoo.anomaly --engine vae.onnx …`."""

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
    "[default: the engine's training set]",
)
@click.option("--fpr", type=float, default=0.05, metavar="P", help="False-positive rate.")
@click.option("--held-out", metavar="CLASS", help="Measure the detection of this class of --data.")
@click.option("--per-class", is_flag=True, help="Measure the detection of every class of --data.")
@click.option("--top", type=TOP, default=16, metavar="M", help="Number of images to list and show.")
@click.option("--out", default="anomalies.png", metavar="FILE", help="A .png of those images.")
@click.option("--scores", metavar="FILE", help="Write the score of every image to this .csv.")
def main(selection: Selection, engine: str, **options: Any) -> None:
    """Score images by their reconstruction error, and show the worst.

    The score is the mean squared error between an image and its reconstruction, of values
    in [0, 1]. Images above a threshold are anomalous: the lowest threshold that at most a
    share --fpr of the normal images exceeds. The picture shows the images with the highest
    scores, their reconstructions, and the differences.

    With --held-out CLASS, for an engine trained without that class, the command prints the
    area under the ROC curve between its images and all others, and the true-positive rate.
    The other classes then serve as normal images unless --normal is given. The .csv of
    --scores has the columns name, score, class if known, and anomalous (0 or 1) if there is
    a single threshold.
    """
    from zoo.applications.anomaly import find_anomalies

    click.echo("\n".join(find_anomalies(selection, engine, **options)))


if __name__ == "__main__":
    main()
