"""Walk between images along their neighbour graph: `python -m zoo.neighbours --walk 0 7 …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command, Integer, engine_options, source_options

if TYPE_CHECKING:
    from zoo.inference.inputs import Selection

STEPS = Integer(1, 255, "1 to 255 steps")


@click.command(cls=Command)
@source_options
@engine_options
@click.option("-k", type=COUNT, default=10, metavar="K", help="Neighbours per image.")
@click.option("--walk", nargs=2, metavar="A B", help="Find the shortest path from A to B.")
@click.option("--steps", type=STEPS, default=10, metavar="N", help="Decode N + 1 points on it.")
@click.option("--out", metavar="FILE", help="A .png of the walk.  [default: walk.png]")
@click.option("--save", metavar="FILE", help="Write the graph to this .npz.")
def main(selection: Selection, engine: str, walk: tuple[str, str] | None, **options: Any) -> None:
    """Build the k-nearest-neighbour graph of images in latent space, and walk along it.

    Two images are connected if either is among the -k nearest of the other; the length of
    an edge is the distance of their latents. A and B are names of images, or their indices
    from 0. The picture of --walk shows the images on the shortest path with their distance
    from A and, if the generator is available, decoded points at even distances along the
    path and along the straight line.
    The .npz of --save can be read with scipy.sparse.load_npz.
    """
    from zoo.applications.neighbours import draw_walk

    click.echo("\n".join(draw_walk(selection, engine, between=walk, **options)))


if __name__ == "__main__":
    main()
