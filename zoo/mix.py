"""Mix the styles of images: `python -m zoo.mix --engine stylegan.onnx --out mixed.png`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from zoo.cli import UINT64, Command, engine_options

_ACROSS = tuple(f"sample:{i}" for i in range(6))
_DOWN = tuple(f"sample:{i}" for i in range(6, 9))


def _source_option(name: str, help: str, default: Sequence[str]) -> Any:
    help = f"{help}; repeatable.  [{default[0]} … {default[-1]}]"
    return click.option(name, multiple=True, metavar="SOURCE", help=help)


@click.command(cls=Command)
@engine_options
@_source_option("--across", "Source B, which provides one band of styles", _ACROSS)
@_source_option("--down", "Source A, which provides all other styles", _DOWN)
@click.option("--bands", metavar="A,B,…", help="Some of coarse, middle, fine.  [all available]")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run for sample:I.")
@click.option("--truncation", type=float, metavar="PSI", help="Move styles towards their mean.")
@click.option("--out", default="mixed.png", metavar="FILE", help="A .png, or an .npy.")
def main(engine: str, across: tuple[str, ...], down: tuple[str, ...], **options: Any) -> None:
    """Draw every image A with the coarse, the middle, or the fine styles of every image B.

    A style-based generator has two layers per resolution. Coarse styles belong to the layers of
    4×4 and 8×8, middle ones to 16×16 and 32×32, fine ones to 64×64 and above; a small network
    lacks the last ones. A SOURCE is `seed:K` (sample 0 of the run with seed K), `sample:I`
    (sample I of --seed), `latent:FILE` or `latent:FILE:ROW`. The noise inputs are zero, so that
    images differ only by their styles (Karras et al. 2019, figure 3).

    A .png has the sources B on top, and for each band the sources A on the left; an .npy has only
    the mixed images, [bands, down, across, H, W, C].
    """
    from zoo.applications.mixing import mix_styles

    click.echo(mix_styles(engine, across or _ACROSS, down or _DOWN, **options))


if __name__ == "__main__":
    main()
