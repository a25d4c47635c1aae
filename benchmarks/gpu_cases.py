"""All contenders on one model: opened, checked, and measured in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks import gpu_limits
from benchmarks.gpu_checks import Refused, alike, checked, same
from benchmarks.gpu_contenders import WHERE, Case, NotInstalled, contenders
from benchmarks.gpu_device import index_of, used_mib
from benchmarks.gpu_work import Work
from benchmarks.processes import Process

SEED = 2**63 + 11
PATIENCE = 1800.0
"""Seconds: max-autotune tries many kernels."""
SERIAL = 1
"""The batch size whose latency is measured."""


def check_models(names: list[str]) -> dict[str, Path]:
    """The shipped engine file of each model.

    Raises EngineNotFoundError for an unknown one, click.BadParameter for one that has nothing to
    draw images from, or needs more than noise.
    """
    import runtime
    from zoo import engine_path

    found = {}
    for name in names:
        path = engine_path(f"{name}.onnx")
        document = runtime.manifest.read(path)
        if document["role"] != "generator" or document["latent"]["prior"] != "normal":
            raise click.BadParameter(f"--models: {name} has no prior to sample from")
        if (document.get("condition") or {}).get("count"):
            raise click.BadParameter(f"--models: {name} needs classes; only noise is drawn here")
        found[name] = path
    return found


class Contest:
    """The contenders of one model, and what was found of them; `rows` go into the JSON."""

    def __init__(self, model: str, case: Case, serve: Callable[..., None]) -> None:
        self.model, self.case, self.serve = model, case, serve
        self.rows: list[dict[str, Any]] = []
        self.open: list[Process] = []
        self.closed: dict[str, tuple[str, str]] = {}
        self.memory: dict[str, int | None] = {}

    def start(self, key: str) -> None:
        """Begin a contender's process and load the model there, or note why not."""
        click.echo(f"{self.model}: opening {key}", err=True)
        before = self._used()
        kind = contenders()[key]
        process = Process(key, kind, self.case, self.serve, PATIENCE)
        try:
            process.ask("open", 0)
        except (NotInstalled, RuntimeError) as error:
            self.closed[key] = _told(error)
            process.stop()
            return
        self.open.append(process)
        self.memory[key] = _growth(before, self._used(), 0)

    def prepare(self, process: Process, batch: int, reference: Any) -> dict[str, Any]:
        """Get a contender ready for a batch size and check its images; its row."""
        row = self.row(process.key, batch)
        before = self._used()
        try:
            process.ask("prepare", batch)
            images = process.ask("contract", batch, (SEED, len(reference)))
            row["check"] = dict(same(images, reference, row["precision"]))
            own = process.ask("own", batch, max(2, checked(batch) // batch))
            row["check"] |= alike(own, batch, reference)
            row["check"]["noise"] = "its own" if not process.kind.draws_contract else "the contract"
        except (NotInstalled, RuntimeError) as error:
            row["status"], row["reason"] = _told(error)
            click.echo(f"{process.key}: {row['reason'].splitlines()[-1]}", err=True)
        self.memory[process.key] = _growth(before, self._used(), self.memory[process.key])
        row["footprint_mib"] = self.memory[process.key]
        return row

    def row(self, key: str, batch: int) -> dict[str, Any]:
        """A new row, "ok" until something is found."""
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
        """One round of a contender: into host memory, on the device, and one by one."""
        batch = row["batch"]
        for where in WHERE:
            part = row.setdefault(where, {"rounds": []})
            if "missing" in part:
                continue
            try:
                images, taken, _ = process.ask("throughput", batch, (where, seconds))
            except NotInstalled as error:
                row[where] = {"missing": str(error)}
                continue
            part["rounds"].append(images / taken)
        if batch == SERIAL:
            row.setdefault("times", []).extend(process.ask("latency", batch, seconds))

    def conclude(self, process: Process, row: dict[str, Any]) -> None:
        """Medians, percentiles, and peak memory."""
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
        """What is launched, and what limits the case; when the times of all are taken."""
        try:
            row |= process.ask("launches", row["batch"])
        except (NotInstalled, RuntimeError) as error:
            # The times stand; only the launches are not known.
            row["launches_missing"] = _told(error)[1]
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


def _told(error: Exception) -> tuple[str, str]:
    """The status of a row, and its reason."""
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
    """One row for each contender and batch size, those that could not be measured among them."""
    import runtime

    with runtime.Generator(case.engine, device="cpu", backend="onnxruntime") as generator:
        reference = generator.sample(max(map(checked, case.batches)), seed=SEED)
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
                row = contest.prepare(process, batch, reference[: checked(batch)])
                if row["status"] == "ok":
                    ready.append((process, row))
            for turn in range(rounds):
                click.echo(f"{model}, batch {batch}, round {turn + 1} of {rounds}", err=True)
                # Every other round backwards: a drift of the machine favours nobody.
                for process, row in ready if turn % 2 == 0 else ready[::-1]:
                    _guarded(row, partial(contest.turn, process, row, seconds))
            for process, row in ready:
                _guarded(row, partial(contest.conclude, process, row))
            measured += ready
        # From the last batch size on: it is prepared already.
        for process, row in measured[::-1]:
            if row["status"] == "ok":
                contest.explain(process, row, work, ceilings)
    finally:
        contest.stop()
    return contest.rows


def _guarded(row: dict[str, Any], step: Callable[[], None]) -> None:
    """A step of a contender that is well so far; what goes wrong is noted."""
    if row["status"] != "ok":
        return
    try:
        step()
    except (NotInstalled, RuntimeError) as error:
        row["status"], row["reason"] = _told(error)
        row.pop("times", None)
