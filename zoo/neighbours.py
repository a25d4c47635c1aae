"""Walk from neighbour to neighbour between two images: `python -m zoo.neighbours --walk 0 7 …`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command, Integer, engine_options, source_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.applications.neighbours import Walk
    from zoo.data.inputs import Selection, Source
    from zoo.images.rows import Row
    from zoo.inference.pairs import Pair

STEPS = Integer(1, 255, "1 to 255 steps")


@click.command(cls=Command)
@source_options
@engine_options
@click.option("-k", type=COUNT, default=10, metavar="K", help="Neighbours of each image.")
@click.option("--walk", nargs=2, metavar="A B", help="Find the shortest path from A to B.")
@click.option("--steps", type=STEPS, default=10, metavar="N", help="Decode N + 1 points of it.")
@click.option("--out", metavar="FILE", help="A .png of the walk.  [default: walk.png]")
@click.option("--save", metavar="FILE", help="Write the graph to this .npz.")
def main(
    selection: Selection,
    engine: str,
    k: int,
    walk: tuple[str, str] | None,
    steps: int,
    out: str | None,
    save: str | None,
    **options: Any,
) -> None:
    """Join each image to those nearest in the latent space, and walk along that graph.

    Two images are joined where either is among the -k nearest of the other; an edge
    is as long as their latents are apart. A and B are names of images, or places
    in their order, from 0. The picture of --walk shows the images on the
    shortest path under their distance from A; where the generator is there, also points
    at even distances along the path, and along the straight line, decoded.
    The .npz of --save is read by scipy.sparse.load_npz.
    """
    from zoo.data.inputs import report_skipped
    from zoo.errors import ConfigError
    from zoo.images import atomic, rows
    from zoo.inference.pairs import Pair

    if out is not None and walk is None:
        raise ConfigError("--out: expected with --walk, whose picture it is")
    out = out or "walk.png"
    _check_outputs(out if walk else None, save)
    with Pair(engine, **options) as pair:
        source = selection.open(pair.encoder.image_shape)
        from zoo.applications import neighbours
        from zoo.inference import latents

        points, names = latents.embed(pair.encoder, source)
        ends = [_node(end, names) for end in walk or ()]
        if walk and ends[0] == ends[1]:
            raise ConfigError(f"--walk: expected two images, got {walk[0]} and {walk[1]}")
        joined = neighbours.graph(points, k)
        path = neighbours.walk(joined, *ends) if walk else None
        report_skipped(source)
        said = [_described(joined, source, k)]
        if walk and path:
            straight = _distance(points[ends[0]], points[ends[1]])
            said.append(_compared(path, straight, walk))
            title = f"{pair.title}  ·  {source.name}  ·  {walk[0]} to {walk[1]}  ·  k = {k}"
            picture = rows.draw(_rows(pair, source, points, path, straight, steps), title)
    with ExitStack() as outputs:
        if save is not None:
            _write(outputs.enter_context(atomic.replacing(save)), joined)
        if walk:
            picture.save(outputs.enter_context(atomic.replacing(out)), format="PNG")
    for line in said:
        click.echo(line)
    written = [path for path in (out if walk else None, save) if path]
    if written:
        click.echo(", ".join(written))


def _check_outputs(out: str | None, save: str | None) -> None:
    from zoo.images import atomic

    if out is not None:
        atomic.check_kind(out, ".png", "a walk is shown in a file .png")
    if save is not None:
        atomic.check_kind(save, ".npz", "a graph is kept in a file .npz")


def _node(text: str, names: list[str]) -> int:
    """The index of the image that `text` names, or whose index it is. Raises ConfigError."""
    from zoo.errors import ConfigError

    found = [i for i, name in enumerate(names) if name == text]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"--walk {text}: {len(found)} images have this name; give the place of one, "
            f"such as {found[0]}"
        )
    if text.isascii() and text.isdecimal() and len(text) < 19 and int(text) < len(names):
        return int(text)
    raise ConfigError(
        f"--walk {text}: expected the name of an image, such as {names[0]}, or its place, "
        f"0 to {len(names) - 1}"
    )


def _described(joined: Any, source: Source, k: int) -> str:
    import numpy as np

    from zoo.applications import neighbours

    sizes = np.bincount(neighbours.components(joined))
    parts = "connected" if len(sizes) == 1 else f"{len(sizes)} components, the largest {sizes[0]:,}"
    return (
        f"{joined.shape[0]:,} images of {source.name}, each with its {k} nearest: "
        f"{joined.nnz // 2:,} edges of mean length {joined.data.mean():.3f}, {parts}"
    )


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    import numpy as np

    return float(np.linalg.norm(a.astype(np.float64) - b))


def _compared(path: Walk, straight: float, walk: tuple[str, str]) -> str:
    steps, length = len(path.nodes) - 1, path.distances[-1]
    times = f", {length / straight:.2f} times as far" if straight else ""
    return (
        f"{walk[0]} to {walk[1]}: {steps} step{'s' if steps > 1 else ''}, {length:.3f} in all; "
        f"{straight:.3f} in a straight line{times}"
    )


def _rows(
    pair: Pair,
    source: Source,
    points: NDArray[np.float32],
    path: Walk,
    straight: float,
    steps: int,
) -> list[Row]:
    """The images on the path and, with a generator, decoded points of it and of the straight."""
    import numpy as np

    from zoo.applications.neighbours import evenly
    from zoo.images.gather import gather
    from zoo.images.rows import Row

    length = path.distances[-1]
    real = gather(source, path.nodes)
    made = [
        Row(
            f"images from neighbour to neighbour: {len(real) - 1} steps, {length:.2f} in all",
            list(real),
            _labels(path.distances),
        )
    ]
    if pair.generator is None:
        return made
    along = pair.generator.decode(evenly(points[path.nodes], steps + 1))
    line = pair.generator.interpolate(points[path.nodes[0]], points[path.nodes[-1]], steps)
    made.append(
        Row(
            "decoded, at even distances along that path",
            list(along),
            _labels(np.linspace(0, length, steps + 1)),
        )
    )
    made.append(
        Row(
            f"decoded, at even distances along the straight line: {straight:.2f} in all",
            list(line),
            _labels(np.linspace(0, straight, steps + 1)),
        )
    )
    return made


def _labels(distances: NDArray[np.float64]) -> list[str]:
    return [f"{distance:.2f}" for distance in distances]


def _write(path: Path, joined: Any) -> None:
    from zoo.optional import require

    with path.open("xb") as file:
        require("scipy.sparse").save_npz(file, joined)


if __name__ == "__main__":
    main()
