"""Nearest training images: `python -m zoo.nearest --engine dcgan.onnx --data fashion-mnist`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, Integer, engine_options

SHOWN = Integer(1, 64, "1 to 64 images")


@click.command(cls=Command)
@engine_options
@click.option("--data", required=True, metavar="SET", help="Data set that was trained on.")
@click.option("-n", "--count", type=COUNT, default=1000, metavar="N", help="Samples to compare.")
@click.option("--show", type=SHOWN, default=16, metavar="N", help="Samples in the picture.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the samples.")
@click.option("--out", default="nearest.png", metavar="FILE", help="The picture, a .png.")
def main(
    engine: str, data: str, count: int, show: int, seed: int, out: str, **options: Any
) -> None:
    """Find the training image nearest to each sample, to see whether the generator copies.

    Distances are root mean square differences in levels of 255. The picture has samples above the
    training images nearest to them, then the samples that are nearest of all. Held-out images, as
    many as there are samples, say how near is to be expected without copying.
    """
    import numpy as np

    from zoo import data as sets
    from zoo.data.inputs import report_skipped
    from zoo.engines import open_generator
    from zoo.evaluation.memorisation import copied, nearest
    from zoo.images import atomic, rows

    atomic.check_kind(out, ".png", "nearest images are shown in a .png")
    with open_generator(engine, **options) as generator:
        height, _, channels = generator.image_shape
        loaded = sets.load(data, size=height, channels=channels)
        report_skipped(loaded)
        samples = generator.sample(count, seed)
    training, test = loaded.seen.images, loaded.test.images[:count]
    found, held_out = nearest(samples, training), nearest(test, training)
    share, least = copied(found, held_out)
    click.echo(
        f"{count:,} samples, {len(training):,} training images of {loaded.name}, "
        f"{len(test):,} held out\n"
        f"nearest training image: {np.median(found.distances):.1f} levels from a sample (median), "
        f"{np.median(held_out.distances):.1f} from a held-out image\n"
        f"{share:.1%} of samples are nearer than {least:.1f} levels, as 1% of held-out images are"
    )
    order = np.argsort(found.distances, kind="stable")[:show]
    pairs = []
    for heading, chosen in (
        (f"samples 0 to {min(show, count) - 1}", np.arange(min(show, count))),
        (f"the samples nearest to training images, of {count:,}", order),
    ):
        away = [f"{distance:.1f}" for distance in found.distances[chosen]]
        pairs.append(rows.Row(heading, list(samples[chosen]), [str(i) for i in chosen]))
        near = found.rows[chosen]
        pairs.append(rows.Row("nearest training images, levels away", list(training[near]), away))
    title = f"{Path(engine).name}  ·  seed {seed}  ·  nearest images of {loaded.name}"
    picture = rows.draw(pairs, title)
    with atomic.replacing(Path(out)) as temporary:
        picture.save(temporary, format="PNG")
    click.echo(out)


if __name__ == "__main__":
    main()
