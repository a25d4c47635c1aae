"""Edit attributes: `python -m zoo.edit --engine vae-faces.onnx face.png --add Smiling=1.5`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from zoo.cli import COUNT, SPLITS, UINT64, Command, Integer, engine_options
from zoo.errors import ConfigError

STEPS = Integer(1, 100_000, "1 to 100000 steps")

_EDITING = ("images", "add", "strip", "low", "high", "steps", "seed", "out", "overwrite")
_EVALUATING = ("data", "split", "count", "amount", "report")
_OPTIONS = {"low": "--from", "high": "--to", "report": "--json", "images": "IMAGES"}


@click.command(cls=Command)
@click.argument("images", nargs=-1)
@engine_options
@click.option("--add", multiple=True, metavar="NAME=α", help="Add α · attribute; repeatable.")
@click.option("--strip", multiple=True, metavar="NAME", help="Draw a strip over α; repeatable.")
@click.option("--from", "low", type=float, metavar="α", help="Start of a strip.  [-2]")
@click.option("--to", "high", type=float, metavar="α", help="End of a strip.  [2]")
@click.option(
    "--steps",
    type=STEPS,
    metavar="N",
    help="N + 1 images per strip [8] or on the path to the edit [only the edit].",
)
@click.option("--seed", type=UINT64, default=0, help="Seed of the run for sample:I.")
@click.option(
    "--out",
    default="edited.png",
    metavar="PATH",
    help="A grid .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--resize", is_flag=True, help="Fit images to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("--evaluate", metavar="CLASSIFIER", help="Measure the success of edits on --data.")
@click.option("--data", metavar="SET", help="Data set with attributes or classes.")
@click.option("--split", type=click.Choice(SPLITS), default="test")
@click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n images.")
@click.option("--amount", type=float, default=1.0, metavar="α", help="α of the evaluation.")
@click.option("--json", "report", metavar="FILE", help="Also write the evaluation as JSON.")
def main(evaluate: str | None, **options: Any) -> None:
    """Change attributes of images: decode h + Σ α·h_dif, where h is the encoder's μ.

    h_dif of an attribute is the mean latent of training images with it minus the mean
    latent of those without. IMAGES are pictures, folders, .npy, .npz or IDX files,
    `seed:K`, `sample:I` or `latent:FILE` (saved by zoo.invert). A grid shows the
    original, its reconstruction and the edit; other formats contain the edited images
    only. A .gif of a strip animates all images side by side.

    --evaluate flips each attribute of every image of --data, and measures with the
    CLASSIFIER how often that succeeds and how often other attributes change. For a
    generator without an encoder it edits the first -n samples of seed 0 [1,000], whose
    attributes are those that the CLASSIFIER sees, or with --data faces the first -n
    faces [16], after inverting them like zoo.invert (needs PyTorch).

    Edits of the first -n drawn faces [200] are also scored against the truth, which is
    the face drawn with only that attribute changed: edits take if 80 % of the pixels
    that should change are nearer to the truth than to the original.
    """
    from zoo.applications import edits

    if evaluate is None:
        _refuse_others(_EVALUATING, "requires --evaluate")
        chosen = {name: value for name, value in options.items() if name not in _EVALUATING}
        click.echo(edits.edit_images(**chosen))
        return
    _refuse_others(_EDITING, "cannot be combined with --evaluate")
    chosen = {name: value for name, value in options.items() if name not in _EDITING}
    click.echo("\n".join(edits.evaluate_edits(evaluate=evaluate, **chosen)))


def _refuse_others(names: tuple[str, ...], why: str) -> None:
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise ConfigError(f"{_OPTIONS.get(name, f'--{name}')} {why}")


if __name__ == "__main__":
    main()
