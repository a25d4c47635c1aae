"""Train a model: `python -m zoo.train vae --data fashion-mnist --epochs 20 --out runs/vae`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import COUNT, Command, Real


@click.command(cls=Command)
@click.argument("model")
@click.option("--data", metavar="SET", help="Data set name, folder, .npz, or pairs A:B.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run [runs/MODEL].")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help="TOML recipe.")
@click.option("--size", metavar="NAME", help="Size of the recipe: cpu or gpu.  [cpu]")
@click.option("--epochs", type=COUNT, help="Passes over the training images.")
@click.option("--batch-size", type=COUNT, help="Images per step, over all processes.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--precision", metavar="NAME", help="fp32, bf16 or fp16 (mixed).")
@click.option("--mirror/--no-mirror", default=None, help="Flip every second image sideways.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of the run.")
@click.option("--latent", type=COUNT, help="Width of the latent vector.")
@click.option("--beta", type=float, help="Weight of the KL term.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another option of the model, or adversarial.NAME for adversarial training; repeatable.",
)
@click.option("--exclude", multiple=True, metavar="CLASS", help="Train without this class.")
@click.option("--image-size", type=COUNT, help="Resize the images to this side, in pixels.")
@click.option("--max-seconds", type=Real(min=0), help="Stop after this time.")
@click.option("--threads", type=COUNT, help="CPU threads.")
@click.option("--cpu", is_flag=True, help="Train on the CPU, even if there is a GPU.")
@click.option("--resume", is_flag=True, help="Resume the run in --out.")
@click.option("--dry-run", is_flag=True, help="Take one step and describe the run; write nothing.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def main(model: str, **options: Any) -> int:
    """Train MODEL (see `python -m zoo.list`) by its recipe; options override the recipe.

    Writes to --out: checkpoint.safetensors and config.json (read by `python -m export`),
    metrics.jsonl, tensorboard/, pictures/, and last/, from which --resume continues. Ctrl-C saves
    and exits with 130. For several GPUs or processes: `accelerate launch -m zoo.train …`.
    """
    from zoo.training.runs import train_model

    return train_model(model, **options)


if __name__ == "__main__":
    main()
