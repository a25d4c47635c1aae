"""Measure the test ELBO of a VAE: `python -m zoo.elbo zoo/weights/vae.safetensors`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import COUNT, SPLITS, Command
from zoo.engines import WEIGHTS
from zoo.errors import ConfigError


@click.command(cls=Command)
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN_OR_WEIGHTS")
@click.option("--data", metavar="SET", help="Data set [the one it was trained on].")
@click.option("--split", type=click.Choice(SPLITS), default="test", help="Which part of it.")
@click.option("--samples", type=COUNT, default=1, help="Draws of the latent vector per image.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Seed of the draws.")
def main(source: Path, data: str | None, split: str, samples: int, seed: int) -> None:
    """Print the negative ELBO on the images of a split, in nats per image, and its two terms.

    RUN_OR_WEIGHTS is the folder of a training run, a .safetensors file, an engine file, or the name
    of a shipped one. Runs on the CPU in fp32; the noise is PyTorch's, made from --seed.
    """
    from zoo import data as sets
    from zoo.data.inputs import report_skipped
    from zoo.evaluation.elbo import evaluate_elbo
    from zoo.models.vae import VAE
    from zoo.models.weights import load

    if not source.exists() and (WEIGHTS / source).exists():
        source = WEIGHTS / source
    model, config = load(source)
    if not isinstance(model, VAE):
        raise ConfigError(f"{source} is a {config['model']}, which has no ELBO")
    shape = model.config
    loaded = sets.load(data or config["recipe"]["data"], shape.image_size, shape.channels)
    report_skipped(loaded)
    part = loaded.parts[split]
    measured = evaluate_elbo(model, part, seed=seed, samples=samples)
    click.echo(f"{source}: {len(part):,} {split} images of {loaded.name}, {samples} sample(s)")
    for name, value in measured.items():
        click.echo(f"{name:15} {value:.3f} nats per image")


if __name__ == "__main__":
    main()
