"""Efficiency of several instances: images/s of k instances over k times those of one.

    python -m benchmarks.instances [--models dcgan,vae,stylegan] [--batch 16,64] [--pin]

Engines with one instance and with k take turns, call by call, in one process. The efficiency is
that of the median calls, and that of the fastest tenth of the calls, which other processes disturb
least. On a machine with other work, --pin gives each thread a core of its own: otherwise Linux may
leave all of them on one.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import click
import numpy as np

from benchmarks import machine
from benchmarks.throughput import parse_integers
from zoo.tables import align_columns

TASKS = "/proc/self/task"
"""The threads of this process, by number."""


def measure(
    model: str, precision: str, batch: int, instances: int, seconds: float, pin: bool = False
) -> dict[str, float]:
    """Return the efficiency of the median and the fastest calls, and the milliseconds of these."""
    import runtime
    from zoo import engine_path

    path = engine_path(f"{model}.onnx")
    options: dict[str, Any] = {"backend": "native", "precision": precision}
    with ExitStack() as stack:
        one = stack.enter_context(runtime.Generator(path, instances=1, **options))
        before = set(os.listdir(TASKS))
        several = stack.enter_context(runtime.Generator(path, instances=instances, **options))
        if pin:
            stack.enter_context(_pin(sorted(set(os.listdir(TASKS)) - before, key=int)))
        images = np.empty((batch, *one.image_shape), np.uint8)
        times: dict[runtime.Generator, list[float]] = {one: [], several: []}
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or not times[several]:
            for engine, calls in times.items():
                for _ in range(4):  # the first of them finds the threads asleep
                    begin = time.perf_counter()
                    engine.sample(batch, out=images)
                    calls.append(time.perf_counter() - begin)
    median, fastest = ([np.quantile(calls, at) for calls in times.values()] for at in (0.5, 0.1))
    return {
        "efficiency": median[0] / median[1] / instances,
        "efficiency_undisturbed": fastest[0] / fastest[1] / instances,
        "ms_one": 1e3 * fastest[0],
        "ms_several": 1e3 * fastest[1],
    }


@contextmanager
def _pin(threads: Sequence[str]) -> Iterator[None]:
    """Give the calling thread the first core and the given threads the next ones, in turn."""
    cores = sorted(os.sched_getaffinity(0))
    for index, thread in enumerate(threads, start=1):
        os.sched_setaffinity(int(thread), {cores[index % len(cores)]})
    os.sched_setaffinity(0, {cores[0]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@click.command(help=__doc__.splitlines()[0])
@click.option("--models", default="dcgan,vae,stylegan", show_default=True, help="Comma-separated.")
@click.option("--batch", default="16,64", show_default=True, callback=parse_integers)
@click.option("--precision", default="fp32,bf16", show_default=True, help="Comma-separated.")
@click.option("--instances", default=2, show_default=True, type=click.IntRange(2))
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(0.0))
@click.option("--pin", is_flag=True, help="Give each thread a core.")
@click.option("--out", type=click.File("w"), help="JSON file.")
def main(
    models: str,
    batch: list[int],
    precision: str,
    instances: int,
    seconds: float,
    pin: bool,
    out: IO[str] | None,
) -> None:
    rows = [
        {"model": model, "precision": kind, "batch": size}
        | measure(model, kind, size, instances, seconds, pin)
        for model in models.split(",")
        for kind in precision.split(",")
        for size in batch
    ]
    table = [["model", "precision", "batch", "ms, 1", f"ms, {instances}", "median", "fastest"]]
    for row in rows:
        times = (f"{row['ms_one']:.3f}", f"{row['ms_several']:.3f}")
        shares = (f"{row['efficiency']:.1%}", f"{row['efficiency_undisturbed']:.1%}")
        table.append([row["model"], row["precision"], str(row["batch"]), *times, *shares])
    click.echo("\n".join(align_columns(table, right=range(2, 7))))
    if out:
        report = {"machine": machine.describe(), "instances": instances, "pinned": pin}
        json.dump({**report, "rows": rows}, out, indent=1)


if __name__ == "__main__":
    main()
