"""Mix the styles of images: `python -m zoo.mix --engine stylegan.onnx --out mixed.png`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from zoo.cli import UINT64, Command, engine_options

_ACROSS = tuple(f"sample:{i}" for i in range(6))
_DOWN = tuple(f"sample:{i}" for i in range(6, 9))


def _source(name: str, help: str, default: Sequence[str]) -> Any:
    which = f"{help}; repeat.  [{default[0]} … {default[-1]}]"
    return click.option(name, multiple=True, metavar="SOURCE", help=which)


@click.command(cls=Command)
@engine_options
@_source("--across", "A source B, whose band of styles is taken", _ACROSS)
@_source("--down", "A source A, which has all other styles", _DOWN)
@click.option("--bands", metavar="A,B,…", help="Some of coarse, middle, fine.  [all there are]")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run that sample:I is from.")
@click.option("--truncation", type=float, metavar="PSI", help="Bring styles closer to their mean.")
@click.option("--out", default="mixed.png", metavar="FILE", help="A .png, or an .npy.")
def main(engine: str, across: tuple[str, ...], down: tuple[str, ...], **options: Any) -> None:
    """Draw every image A with the coarse, the middle, or the fine styles of every image B.

    A style-based generator has two layers of each resolution. Coarse styles are those of the
    layers of 4×4 and 8×8, middle ones of 16×16 and 32×32, fine ones of 64×64 and above; a smaller
    network has not all of them. A SOURCE is `seed:K` (sample 0 of the run with seed K), `sample:I`
    (sample I of --seed), `latent:FILE` or `latent:FILE:ROW`. The layers draw no noise, so that
    images differ by their styles alone (Karras et al. 2019, figure 3).

    A .png has the sources B on top, and a part for each band with the sources A on the left; an
    .npy has the mixed images alone, [bands, down, across, H, W, C].
    """
    from zoo.applications.mixing import mix_styles

    click.echo(mix_styles(engine, across or _ACROSS, down or _DOWN, **options))


if __name__ == "__main__":
    main()
