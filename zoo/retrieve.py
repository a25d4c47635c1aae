"""Find similar images: `python -m zoo.retrieve build`, then `query`; and `evaluate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command, Group, engine_options, source_options

if TYPE_CHECKING:
    from zoo.inference.inputs import Selection

index_option = click.option(
    "--index", "index_file", required=True, metavar="INDEX", help="A file written by build."
)
k_option = click.option("-k", type=COUNT, default=10, metavar="K", help="Number of images to find.")


@click.group(cls=Group)
def main() -> None:
    """Find the images whose latents are nearest to those of an image.

    The engine is an encoder, or a generator with its encoder next to it.
    """


@main.command(cls=Command, short_help="Write an index of images.")
@source_options
@engine_options
@click.option("--out", required=True, metavar="INDEX", help="The index file to write.")
@click.option(
    "--kind",
    type=click.Choice(["flat", "hnsw", "ivf"]),
    default="flat",
    help="Exact search, or faster approximate ones.",
)
@click.option("--no-pictures", is_flag=True, help="Omit the images; hits cannot be shown.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def build(selection: Selection, engine: str, out: str, **options: Any) -> None:
    """Write an index of images: pictures, folders of them, .npy, .npz or IDX files, or --data.

    The images are read in blocks, and only their latents are kept in memory. The index
    works only with this encoder, which is identified by the hash of its file.
    """
    from zoo.applications.similarity import build_index

    click.echo(build_index(selection, engine, out, **options))


@main.command(cls=Command, short_help="Print and show the images nearest to an image.")
@source_options
@engine_options
@index_option
@k_option
@click.option("--out", metavar="FILE", help="Show the hits of up to 16 queries in a .png.")
def query(selection: Selection, engine: str, index_file: str, **options: Any) -> None:
    """Print the k images of an index that are nearest to each of IMAGES, with their distances.

    Distances are Euclidean, between latents (the encoder's μ).
    """
    from zoo.applications.similarity import find_similar

    click.echo("\n".join(find_similar(selection, engine, index_file, **options)))


@main.command(cls=Command, short_help="Print precision at k, in latents and in pixels.")
@engine_options
@click.option("--data", required=True, metavar="SET", help="A data set with classes.")
@click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n test images.")
@k_option
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and mode.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def evaluate(engine: str, data: str, **options: Any) -> None:
    """Print precision at k by class: the share of the k nearest that have the query's class.

    The queries are the test images of --data. The training images are searched exactly, by
    latents and, for comparison, by raw pixels.
    """
    from zoo.applications.similarity import measure_precision

    click.echo("\n".join(measure_precision(engine, data, **options)))


if __name__ == "__main__":
    main()
