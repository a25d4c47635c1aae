"""A run of `zoo.generate`: what is missing is made, what is there is checked."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from zoo.errors import DataError, OutputError
from zoo.generation import index, pool, ray_actors
from zoo.generation.plan import Plan, parse_part, shards_of_part
from zoo.generation.source import open_source
from zoo.images.atomic import check_folder, check_name, lock_output
from zoo.optional import require
from zoo.progress import Progress, number_of_images, rate


def generate(
    engine: str,
    out: str,
    *,
    count: int,
    seed: int = 0,
    first: int = 0,
    format: str = "webdataset",
    shard_size: int = 10_000,
    part: str | None = None,
    workers: int | None = None,
    ray: str | None = None,
    labels: str | None = None,
    prior: str = "normal",
    truncation: float = 1.0,
    verify: bool = False,
    overwrite: bool = False,
    verbose: bool = False,
    **options: Any,
) -> str:
    """Write images `first` … `first + count - 1` of a seed to shards in the folder `out`.

    Shards that are there and whole are kept; those of another run are an error, unless `overwrite`
    is set. The arguments are the options of
    `zoo.generate`, `options` those of runtime.Generator. Returns a summary line. With `verify`
    nothing is written, and DataError lists what is missing or wrong. Raises ConfigError,
    OutputError, and the errors of runtime.Generator.
    """
    check_name(out)
    folder, share = Path(os.path.abspath(out)), parse_part(part)
    if format == "parquet":
        require("pyarrow")
    source = open_source(engine, seed, labels, prior, truncation, **options)
    plan = Plan(**vars(source), count=count, first=first, format=format, shard_size=shard_size)
    shards = list(shards_of_part(plan, share))
    if verify:
        if wrong := _find_wrong(plan, folder, shards, index.read(folder)):
            listed = "; ".join(f"{plan.name(shard)} {wrong[shard]}" for shard in list(wrong)[:10])
            raise DataError(f"{out}: {len(wrong):,} of {len(shards):,} shards: {listed}")
        return f"{out}: {_shards(len(shards))} as they should be"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}") from error
    check_folder(out, overwrite=True)
    path = index.path_of_part(folder, share)
    # Two runs of the same part would do the same work.
    with lock_output(path):
        entries = index.read(folder)
        if not overwrite:
            _check_same_run(plan, out, entries)
        missing = list(_find_wrong(plan, folder, shards, entries))
        images = sum(plan.rows(shard)[1] for shard in missing)
        if ray is None:
            made = pool.make_shards(plan, folder, missing, workers or _workers(plan))
        else:
            made = ray_actors.make_shards(plan, folder, missing, workers, ray)
        with Progress(images, verbose) as progress, closing(made):
            for entry in made:
                index.append(path, entry)
                progress.advance(int(entry["count"]))
            seconds = progress.seconds
    kept = len(shards) - len(missing)
    return (
        f"{out}: {_shards(len(missing))} made, {kept:,} kept; {number_of_images(images)}, "
        f"{rate(images, seconds)}"
    )


def _find_wrong(
    plan: Plan, folder: Path, shards: list[int], entries: dict[int, dict[str, Any]]
) -> dict[int, str]:
    """Return what is wrong, by shard, with those that are not there as planned."""
    checks = ((shard, index.check(plan, folder, shard, entries)) for shard in shards)
    return {shard: problem for shard, problem in checks if problem}


def _check_same_run(plan: Plan, out: str, entries: dict[int, dict[str, Any]]) -> None:
    """Raise OutputError for shards of another run, of which this one may only be longer."""
    for shard, entry in entries.items():
        other = index.differences(plan, shard, entry) if shard < plan.shards else []
        other = [name for name in other if name != "count"]
        if other:
            raise OutputError(
                f"{out} holds a run with another {', '.join(other)}: "
                "choose another --out, or --overwrite"
            )


def _workers(plan: Plan) -> int:
    """A worker for each core, or one that keeps a GPU busy."""
    return 1 if plan.uses_gpu else len(os.sched_getaffinity(0))


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count:,} shards"
