"""Search for the training images nearest to a generator's samples, to detect copying."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo import data as sets
from zoo.engines import open_generator
from zoo.evaluation import memorisation
from zoo.images import atomic, rows
from zoo.inference.inputs import report_skipped


def find_copies(
    engine: str,
    data: str,
    *,
    count: int = 1000,
    show: int = 16,
    seed: int = 0,
    out: str = "nearest.png",
    **options: Any,
) -> list[str]:
    """Compare samples with the training images of the set `data`, and draw the nearest to `out`.

    The arguments are the options of `zoo.nearest`, `options` those of runtime.Generator. Returns
    lines of text. Raises DataError, OutputError, and the errors of zoo.engines.open_generator.
    """
    atomic.check_suffix(out, ".png", "the picture of nearest images must be a .png")
    with open_generator(engine, **options) as generator:
        height, _, channels = generator.image_shape
        loaded = sets.load(data, size=height, channels=channels)
        report_skipped(loaded)
        samples = generator.sample(count, seed)
    training, test = loaded.seen.images, loaded.test.images[:count]
    nearest = memorisation.nearest(samples, training)
    held_out = memorisation.nearest(test, training)
    share, least = memorisation.copied_share(nearest, held_out)
    summary = (
        f"{count:,} samples, {len(training):,} training images of {loaded.name} "
        f"({len(loaded.validation):,} of them for validation), {len(test):,} held out\n"
        f"nearest training image: {np.median(nearest.distances):.1f} levels from a sample "
        f"(median), {np.median(held_out.distances):.1f} from a held-out image\n"
        f"{share:.1%} of samples are nearer than {least:.1f} levels, as 1% of held-out images are"
    )
    order = np.argsort(nearest.distances, kind="stable")[:show]
    pairs = []
    for heading, chosen in (
        (f"samples 0 to {min(show, count) - 1}", np.arange(min(show, count))),
        (f"the samples nearest to training images, of {count:,}", order),
    ):
        distances = [f"{distance:.1f}" for distance in nearest.distances[chosen]]
        pairs.append(rows.Row(heading, list(samples[chosen]), [str(i) for i in chosen]))
        near = list(training[nearest.rows[chosen]])
        pairs.append(rows.Row("nearest training images, levels away", near, distances))
    title = f"{Path(engine).name}  ·  seed {seed}  ·  nearest images of {loaded.name}"
    picture = rows.draw(pairs, title)
    with atomic.replace_file(Path(out)) as temporary:
        picture.save(temporary, format="PNG")
    return [summary, out]
