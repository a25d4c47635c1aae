"""Find nearest training images: `python -m zoo.nearest --engine dcgan.onnx --data SET`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, Integer, engine_options

SHOWN = Integer(1, 64, "1 to 64 images")


@click.command(cls=Command)
@engine_options
@click.option("--data", required=True, metavar="SET", help="Data set of the training.")
@click.option("-n", "--count", type=COUNT, default=1000, metavar="N", help="Samples to compare.")
@click.option("--show", type=SHOWN, default=16, metavar="N", help="Samples in the picture.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the samples.")
@click.option("--out", default="nearest.png", metavar="FILE", help="The picture, a .png.")
def main(engine: str, data: str, **options: Any) -> None:
    """Find the training image nearest to each sample, to detect copies of training images.

    The search includes the validation images, which influence training by the choice of an epoch.
    Distances are root mean square differences in levels of 255. The picture shows samples above
    their nearest training images, then the samples with the smallest distances. The same distances
    for as many test images show what to expect without copying.
    """
    from zoo.applications.copies import find_copies

    click.echo("\n".join(find_copies(engine, data, **options)))


if __name__ == "__main__":
    main()
