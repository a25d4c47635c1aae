"""What a contender's process on a GPU is told to do, and how it is timed."""

from __future__ import annotations

import time
import warnings
from typing import Any

from benchmarks.gpu_contenders import Contender, Where

WARM_UP = 0.3
"""Seconds, at most."""


class Reduced(RuntimeError):
    """A smaller batch size ran in the place of the one that was asked for."""


def throughput(
    contender: Contender, batch: int, where: Where, seconds: float
) -> tuple[int, float, int]:
    """Images made, the seconds that it took until all were done, and the number of batches."""
    made = contender.batches(batch, where)
    warm = time.perf_counter() + min(WARM_UP, seconds / 3)
    next(made)
    while time.perf_counter() < warm:
        next(made)
    contender.finish()
    images = count = 0
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        images += next(made)
        count += 1
    contender.finish()
    taken = time.perf_counter() - start
    made.close()  # type: ignore[attr-defined]
    return images, taken, count


def latency(contender: Contender, batch: int, seconds: float) -> list[float]:
    """Seconds from each request to its images in host memory, one request at a time."""
    answers = contender.requests(batch)
    warm = time.perf_counter() + min(WARM_UP, seconds / 3)
    next(answers)
    while time.perf_counter() < warm:
        next(answers)
    times: list[float] = []
    last = time.perf_counter()
    end = last + seconds
    while last < end or not times:
        next(answers)
        now = time.perf_counter()
        times.append(now - last)
        last = now
    answers.close()  # type: ignore[attr-defined]
    return times


def obey(contender: Contender, task: str, batch: int, argument: Any) -> Any:
    """What a contender's process is told to do; the answer.

    Raises Reduced where this runtime warned that it runs fewer images at a time.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", RuntimeWarning)
        answer = _obey(contender, task, batch, argument)
    for warning in said:
        if contender.ours and warning.category is RuntimeWarning:
            raise Reduced(" ".join(str(warning.message).split()))
        warnings.showwarning(warning.message, warning.category, warning.filename, warning.lineno)
    return answer


def _obey(contender: Contender, task: str, batch: int, argument: Any) -> Any:
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
        return latency(contender, batch, argument)
    if task == "facts":
        return contender.facts(batch)
    if task == "launches":
        contender.prepare(batch)
        return contender.launches(batch)
    raise ValueError(f"no such task: {task}")
