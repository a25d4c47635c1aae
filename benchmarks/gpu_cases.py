"""Measurement of all contenders on one model: open, check, then measure in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks import gpu_limits
from benchmarks.gpu_checks import Refused, compare_images, compare_statistics, count_checked
from benchmarks.gpu_contenders import WHERE, Case, NotInstalled, contenders
from benchmarks.gpu_device import index_of, used_mib
from benchmarks.gpu_work import Work
from benchmarks.processes import Process

SEED = 2**63 + 11
PATIENCE = 1800.0
"""Seconds to wait for an answer: max-autotune tries many kernels."""
SERIAL = 1
"""The batch size whose latency is measured."""


def check_models(names: list[str]) -> dict[str, Path]:
    """Return the shipped engine file of each model.

    Raises EngineNotFoundError for an unknown model, click.BadParameter for a model without a prior
    or with conditions.
    """
    import runtime
    from zoo import engine_path

    engines = {}
    for name in names:
        path = engine_path(f"{name}.onnx")
        document = runtime.manifest.read(path)
        if document["role"] != "generator" or document["latent"]["prior"] != "normal":
            raise click.BadParameter(f"--models: {name} has no prior to sample from")
        if (document.get("condition") or {}).get("count"):
            raise click.BadParameter(f"--models: {name} needs classes; only noise is drawn here")
        engines[name] = path
    return engines


class Contest:
    """Contenders of one model and their results; `rows` go into the JSON."""

    def __init__(self, model: str, case: Case, serve: Callable[..., None]) -> None:
        self.model, self.case, self.serve = model, case, serve
        self.rows: list[dict[str, Any]] = []
        self.open: list[Process] = []
        self.closed: dict[str, tuple[str, str]] = {}
        self.memory: dict[str, int | None] = {}

    def start(self, key: str) -> None:
        """Start a contender's process and load the model there, or record why that failed."""
        click.echo(f"{self.model}: opening {key}", err=True)
        before = self._used()
        kind = contenders()[key]
        process = Process(key, kind, self.case, self.serve, PATIENCE)
        try:
            process.ask("open", 0)
        except (NotInstalled, RuntimeError) as error:
            self.closed[key] = _status(error)
            process.stop()
            return
        self.open.append(process)
        self.memory[key] = _growth(before, self._used(), 0)

    def prepare(self, process: Process, batch: int, reference: Any) -> dict[str, Any]:
        """Prepare a contender for a batch size, check its images, and return its row."""
        row = self.row(process.key, batch)
        before = self._used()
        try:
            process.ask("prepare", batch)
            images = process.ask("contract", batch, (SEED, len(reference)))
            row["check"] = dict(compare_images(images, reference, row["precision"]))
            own = process.ask("own", batch, max(2, count_checked(batch) // batch))
            row["check"] |= compare_statistics(own, batch, reference)
            row["check"]["noise"] = "its own" if not process.kind.draws_contract else "the contract"
        except (NotInstalled, RuntimeError) as error:
            row["status"], row["reason"] = _status(error)
            click.echo(f"{process.key}: {row['reason'].splitlines()[-1]}", err=True)
        self.memory[process.key] = _growth(before, self._used(), self.memory[process.key])
        row["footprint_mib"] = self.memory[process.key]
        return row

    def row(self, key: str, batch: int) -> dict[str, Any]:
        """Add a row, with the status "ok" unless the contender did not open."""
        kind = contenders()[key]
        status, reason = self.closed.get(key, ("ok", ""))
        row: dict[str, Any] = {
            "model": self.model,
            "key": key,
            "contender": kind.name,
            "precision": kind.precision,
            "ours": kind.ours,
            "batch": batch,
            "status": status,
        }
        if reason:
            row["reason"] = reason
        self.rows.append(row)
        return row

    def turn(self, process: Process, row: dict[str, Any], seconds: float) -> None:
        """Measure one round: results in host memory, on the device, and single requests."""
        batch = row["batch"]
        for where in WHERE:
            part = row.setdefault(where, {"rounds": []})
            if "missing" in part:
                continue
            try:
                images, elapsed, _ = process.ask("throughput", batch, (where, seconds))
            except NotInstalled as error:
                row[where] = {"missing": str(error)}
                continue
            part["rounds"].append(images / elapsed)
        if batch == SERIAL:
            row.setdefault("times", []).extend(process.ask("latency", batch, seconds))

    def conclude(self, process: Process, row: dict[str, Any]) -> None:
        """Add medians, percentiles and peak memory to a row."""
        times = row.pop("times", None)
        if times:
            p50, p95, p99 = np.percentile(np.array(times) * 1e3, [50, 95, 99])
            row["latency_ms"] = {"p50": p50, "p95": p95, "p99": p99, "requests": len(times)}
        row |= process.ask("facts", row["batch"])
        for where in WHERE:
            if row[where].get("rounds"):
                row[where]["images_per_second"] = float(np.median(row[where]["rounds"]))

    def explain(
        self, process: Process, row: dict[str, Any], work: Work, ceilings: dict[str, Any]
    ) -> None:
        """Add a case's launches and its limit to its row, once all times have been measured."""
        try:
            row |= process.ask("launches", row["batch"])
        except (NotInstalled, RuntimeError) as error:
            # The times are valid; only the launches are unknown.
            row["launches_missing"] = _status(error)[1]
        for where in WHERE:
            rate = row[where].get("images_per_second")
            if not rate:
                continue
            timed = gpu_limits.Timed(
                seconds=row["batch"] / rate,
                batch=row["batch"],
                precision=row["precision"],
                launches=row.get("launches"),
                graphs=row.get("graphs"),
                kernels=row.get("kernels"),
                instances=row.get("instances", 1),
                copied=where == "numpy",
            )
            name = "limits" if where == "numpy" else "limits_device"
            row[name] = gpu_limits.verdict(timed, work, ceilings)

    def stop(self) -> None:
        """End all processes."""
        for process in self.open:
            process.stop()

    def _used(self) -> int | None:
        return used_mib(index_of(self.case.device))


def _growth(before: int | None, after: int | None, sum_so_far: int | None) -> int | None:
    if before is None or after is None or sum_so_far is None:
        return None
    return sum_so_far + after - before


def _status(error: Exception) -> tuple[str, str]:
    """Return the status and reason of a row for an error."""
    if isinstance(error, NotInstalled):
        return "not installed", str(error)
    return "refused" if isinstance(error, Refused) else "failed", str(error).strip() or repr(error)


def measure_model(
    model: str,
    case: Case,
    names: list[str],
    rounds: int,
    seconds: float,
    work: Work,
    ceilings: dict[str, Any],
    serve: Callable[..., None],
) -> list[dict[str, Any]]:
    """Return one row per contender and batch size, including those that failed."""
    import runtime

    with runtime.Generator(case.engine, device="cpu", backend="onnxruntime") as generator:
        reference = generator.sample(max(map(count_checked, case.batches)), seed=SEED)
    contest = Contest(model, case, serve)
    measured: list[tuple[Process, dict[str, Any]]] = []
    try:
        for name in names:
            contest.start(name)
        for batch in case.batches:
            for key in contest.closed:
                contest.row(key, batch)
            ready = []
            for process in contest.open:
                row = contest.prepare(process, batch, reference[: count_checked(batch)])
                if row["status"] == "ok":
                    ready.append((process, row))
            for turn in range(rounds):
                click.echo(f"{model}, batch {batch}, round {turn + 1} of {rounds}", err=True)
                # Reverse every other round, so that drift of the machine favours none.
                for process, row in ready if turn % 2 == 0 else ready[::-1]:
                    _try_step(row, partial(contest.turn, process, row, seconds))
            for process, row in ready:
                _try_step(row, partial(contest.conclude, process, row))
            measured += ready
        # Start with the last batch size, which is already prepared.
        for process, row in measured[::-1]:
            if row["status"] == "ok":
                contest.explain(process, row, work, ceilings)
    finally:
        contest.stop()
    return contest.rows


def _try_step(row: dict[str, Any], step: Callable[[], None]) -> None:
    """Run a step unless the contender failed before; record an error in the row."""
    if row["status"] != "ok":
        return
    try:
        step()
    except (NotInstalled, RuntimeError) as error:
        row["status"], row["reason"] = _status(error)
        row.pop("times", None)
