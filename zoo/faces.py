"""Draw faces with attributes into a folder: `python -m zoo.faces --out faces -n 200`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import UINT64, Command, Integer

_FEWEST = 10
_COUNT = Integer(_FEWEST, 2**40, f"an integer of at least {_FEWEST}, as one in ten is held out")
_SIZE = Integer(8, 4096, "an integer from 8 to 4096")


@click.command(cls=Command)
@click.option("--out", required=True, metavar="DIR", help="Folder to create, or an empty one.")
@click.option("-n", "--count", type=_COUNT, default=200, metavar="N", help="Number of faces.")
@click.option("--first", type=UINT64, default=0, metavar="K", help="Index of the first face.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run.")
@click.option("--size", type=_SIZE, default=64, help="Side of the pictures, in pixels.")
@click.option(
    "--style",
    default="avataaars",
    metavar="NAME",
    help="Drawing style: avataaars, lorelei, open-peeps or pixel-art.",
    show_default=True,
)
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(out: str, **options: Any) -> None:
    """Draw faces --first … --first + n - 1 of the run with this --seed, in CelebA's layout.

    DIR will contain a folder img_align_celeba of PNGs, their attributes in
    list_attr_celeba.txt, and the split in list_eval_partition.txt: faces with
    index i % 10 == 9 are held out. `--data DIR` reads it. Face i of a seed is the
    same drawing for any -n and --first; the data set `faces` is faces 0 … 19999
    of seed 0 in the style avataaars, and each other style is a data set of its own.
    """
    from zoo.data.face_folder import draw_faces

    click.echo(draw_faces(out, **options))


if __name__ == "__main__":
    main()
