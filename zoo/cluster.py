"""Group images by their latents: `python -m zoo.cluster --engine vae.onnx --data fashion-mnist`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command, Integer, engine_options, source_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.applications.clustering import Clusters, Scores
    from zoo.data.inputs import Selection, Source
    from zoo.images.rows import Row
    from zoo.inference.pairs import Pair

CLUSTERS = Integer(1, 256, "1 to 256 clusters")
SEED = Integer(0, 2**32 - 1, "an integer of 32 bits, 0 to 2**32 - 1")
SHOWN = Integer(1, 64, "1 to 64 images")


@click.command(cls=Command)
@source_options
@engine_options
@click.option("-k", type=CLUSTERS, default=10, metavar="K", help="Number of clusters.")
@click.option("--seed", type=SEED, default=0, help="Seed of the first centres.")
@click.option("--restarts", type=COUNT, default=10, help="Runs of k-means; the best counts.")
@click.option(
    "--standardise/--no-standardise", default=False, help="Give every latent variance 1 first."
)
@click.option(
    "--pixels/--no-pixels", default=True, help="Where classes are known, also cluster pixels."
)
@click.option("--shown", type=SHOWN, default=15, metavar="M", help="Images shown of a cluster.")
@click.option("--out", default="clusters.png", metavar="FILE", help="A .png, one row a cluster.")
@click.option("--assign", metavar="FILE", help="Write the clusters to this .npz.")
def main(
    selection: Selection,
    engine: str,
    k: int,
    seed: int,
    restarts: int,
    standardise: bool,
    pixels: bool,
    shown: int,
    out: str,
    assign: str | None,
    **options: Any,
) -> None:
    """Cluster images by k-means on their latents (the encoder's μ), without their classes.

    Where the classes are known, prints how well the clusters agree with them, beside
    k-means on the pixels: the accuracy of the best pairing of clusters and classes,
    the normalised mutual information and the adjusted Rand index. The picture shows
    the images nearest to each centre and, where the generator is there, the decoded
    centre. Standardising is off because the dimensions that a VAE does not use would
    count as much as the others.
    The .npz of --assign has `assignment`, `centres`, `names`, and `labels` if known.
    """
    from zoo.data.inputs import report_skipped
    from zoo.images import atomic, rows
    from zoo.inference.pairs import Pair

    _check_outputs(out, assign)
    with Pair(engine, **options) as pair:
        source = selection.open(pair.encoder.image_shape)
        rows.plan([shown + 1] * k, *pair.encoder.image_shape[:2], columns=shown + 1)
        from zoo.applications import clustering

        keep = pixels and source.labels is not None
        latents, names, flat = _embed(pair, source, keep)
        found = clustering.kmeans(latents, k, seed, restarts, standardise)
        scores: dict[str, Scores] = {}
        if source.labels is not None:
            kind = "latents, standardised" if standardise else "latents"
            scores[kind] = clustering.scores(source.labels, found.assignment)
        if flat is not None and source.labels is not None:
            on_pixels = clustering.kmeans(flat, k, seed, restarts)
            scores["pixels"] = clustering.scores(source.labels, on_pixels.assignment)
            del flat
        title = f"{pair.title}  ·  {source.name}  ·  k-means on latents, k = {k}"
        report_skipped(source)
        picture = rows.draw(_rows(pair, source, found, names, shown), title, shown + 1)
    with ExitStack() as outputs:
        if assign is not None:
            _write(outputs.enter_context(atomic.replacing(assign)), found, names, source)
        picture.save(outputs.enter_context(atomic.replacing(out)), format="PNG")
    click.echo(f"{len(names):,} images of {source.name} in {k} cluster{'s' if k > 1 else ''}")
    for line in _table(scores):
        click.echo(line)
    click.echo(out if assign is None else f"{out}, {assign}")


def _check_outputs(out: str, assign: str | None) -> None:
    from zoo.images import atomic

    atomic.check_kind(out, ".png", "clusters are shown in a .png")
    if assign is not None:
        atomic.check_kind(assign, ".npz", "an assignment is written to an .npz")


def _embed(
    pair: Pair, source: Source, keep: bool
) -> tuple[NDArray[np.float32], list[str], NDArray[np.float32] | None]:
    """Latents [n, D], names, and with `keep` also the pixels [n, H·W·C] in [0, 1]."""
    import numpy as np

    from zoo.inference.latents import embed_blocks, pixels
    from zoo.progress import Progress

    latents, vectors, names = [], [], list[str]()
    with Progress(source.total or 0) as progress:
        for made, block in embed_blocks(pair.encoder, source):
            latents.append(made)
            names += block.names
            if keep:
                vectors.append(pixels(block.images))
            if source.total:
                progress.advance(len(made))
    return np.concatenate(latents), names, np.concatenate(vectors) if keep else None


def _rows(pair: Pair, source: Source, found: Clusters, names: list[str], shown: int) -> list[Row]:
    """One row a cluster: the decoded centre, if there is a generator, and the nearest members."""
    import numpy as np

    from zoo.images.gather import gather
    from zoo.images.rows import Row, shortened

    nearest = [found.members(i)[:shown] for i in range(len(found.centres))]
    pictures = iter(gather(source, np.concatenate(nearest)))
    centres = None if pair.generator is None else pair.generator.decode(found.centres)
    made = []
    for cluster, members in enumerate(nearest):
        tiles = [next(pictures) for _ in members]
        labels = [
            shortened(names[i] if source.labels is None else source.class_name(source.labels[i]))
            for i in members
        ]
        if centres is not None:
            tiles, labels = [centres[cluster], *tiles], ["centre", *labels]
        made.append(Row(_heading(cluster, source, found), tiles, labels))
    return made


def _heading(cluster: int, source: Source, found: Clusters) -> str:
    """`3: 1,203 images  ·  57 % Shirt, 30 % Pullover`, of the two classes that are most of it."""
    import numpy as np

    inside = found.assignment == cluster
    size = int(inside.sum())
    text = f"{cluster}: {size:,} image{'s' if size > 1 else ''}"
    if source.labels is None:
        return text
    counts = np.bincount(source.labels[inside])
    most = [i for i in np.argsort(-counts, kind="stable")[:2] if counts[i]]
    return f"{text}  ·  " + ", ".join(
        f"{counts[i] / size:.0%} {source.class_name(i)}" for i in most
    )


def _table(scores: dict[str, Scores]) -> list[str]:
    if not scores:
        return []
    width = max(map(len, scores))
    head = f"{'':{width}}  accuracy    NMI    ARI"
    return [head] + [
        f"{kind:{width}}  {its.accuracy:8.3f}  {its.nmi:5.3f}  {its.ari:5.3f}"
        for kind, its in scores.items()
    ]


def _write(path: Path, found: Clusters, names: list[str], source: Source) -> None:
    import numpy as np

    arrays: dict[str, Any] = {
        "assignment": found.assignment,
        "centres": found.centres,
        "names": np.array(names),
    }
    if source.labels is not None:
        arrays["labels"] = source.labels
    with path.open("xb") as file:
        np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    main()
