"""Measure the test ELBO of a VAE: `python -m zoo.elbo vae`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import COUNT, SPLITS, Command


@click.command(cls=Command)
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN_OR_WEIGHTS")
@click.option("--data", metavar="SET", help="Data set [the training data].")
@click.option("--split", type=click.Choice(SPLITS), default="test", help="Split of the data set.")
@click.option("--samples", type=COUNT, default=1, help="Draws of the latent vector per image.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Seed of the draws.")
def main(source: Path, **options: Any) -> None:
    """Print the negative ELBO on the images of a split, in nats per image, and its two terms.

    RUN_OR_WEIGHTS is the folder of a training run, a .safetensors file, an engine file, or the name
    of a shipped one. Runs on the CPU in fp32, with noise from PyTorch's generator for --seed.
    """
    from zoo.evaluation.elbo import measure_elbo

    click.echo("\n".join(measure_elbo(source, **options)))


if __name__ == "__main__":
    main()
