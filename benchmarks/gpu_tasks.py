"""Tasks of a contender's process on a GPU, and their timing."""

from __future__ import annotations

import time
import warnings
from typing import Any

from benchmarks.gpu_contenders import Contender, Where
from benchmarks.timing import time_batches, warm_up


class Reduced(RuntimeError):
    """A smaller batch size ran than the requested one."""


def throughput(
    contender: Contender, batch: int, where: Where, seconds: float
) -> tuple[int, float, int]:
    """Return the images made, the seconds until all were finished, and the number of batches."""
    batches = contender.batches(batch, where)
    warm_up(batches, seconds)
    contender.finish()
    images = count = 0
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        images += next(batches)
        count += 1
    contender.finish()
    elapsed = time.perf_counter() - start
    batches.close()  # type: ignore[attr-defined]
    return images, elapsed, count


def run_task(contender: Contender, task: str, batch: int, argument: Any) -> Any:
    """Run a task in a contender's process and return its result.

    Raises Reduced if this runtime warned that it runs fewer images at a time.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        answer = _run_task(contender, task, batch, argument)
    for warning in caught:
        if contender.ours and warning.category is RuntimeWarning:
            raise Reduced(" ".join(str(warning.message).split()))
        warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
    return answer


def _run_task(contender: Contender, task: str, batch: int, argument: Any) -> Any:
    if task == "open":
        return contender.open()
    if task == "prepare":
        return contender.prepare(batch)
    if task == "contract":
        return contender.contract(batch, *argument)
    if task == "own":
        answers = contender.requests(batch)
        return [next(answers).copy() for _ in range(argument)]
    if task == "throughput":
        return throughput(contender, batch, *argument)
    if task == "latency":
        return time_batches(contender.requests(batch), argument)
    if task == "facts":
        return contender.facts(batch)
    if task == "launches":
        contender.prepare(batch)
        return contender.launches(batch)
    raise ValueError(f"unknown task: {task}")
