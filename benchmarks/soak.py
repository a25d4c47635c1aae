"""A soak test of the service: `python -m zoo.serve` under mixed load, for long.

    make soak SOAK_ARGS="[--minutes 30] [--rate 64] [--seed 0] [--out FILE]"

Sixteen clients ask a service of several engines, over HTTP and gRPC. Twelve compare every answer,
byte for byte, with images that they compute themselves, in all formats; four misbehave: one reads
slowly, one goes away, one sends what is malformed, one has deadlines that are too short. Memory,
file descriptors and threads of the service are looked at all the time. At the end it is told to end
(SIGTERM) in the middle of such a load, and must complete what it has accepted.

The exit code is 1 if an answer was wrong or lost, or if memory has grown.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import click
import numpy as np
import psutil

from benchmarks import machine
from benchmarks.cpu_report import ROOT
from benchmarks.soak_clients import RECEIVED, Load
from benchmarks.soak_misbehaviour import MISBEHAVIOUR, stream
from benchmarks.soak_requests import FORMATS, MODELS, PATIENCE, Asked, Client
from services import engine_options, metrics, open_local, serving
from zoo.tables import align_columns

RESULTS = ROOT / "benchmarks" / "results"
BEHAVING = 12
HELD = 4
"""Long answers that are being sent when the service is told to end."""
GROWTH = 16.0
"""MiB that memory may grow by."""
LEFT = 4
"""File descriptors that may be open after the load beside those that were before."""


class Watch(Thread):
    """Looks at a process until it is stopped: rows of seconds, MiB, file descriptors, threads."""

    def __init__(self, process: psutil.Process, pause: float) -> None:
        super().__init__(daemon=True)
        self._process, self._pause, self._stopped = process, pause, False
        self.rows: list[tuple[float, float, int, int]] = []

    def look(self) -> tuple[float, int, int]:
        """Return MiB, file descriptors and threads."""
        process = self._process
        return process.memory_info().rss / 2**20, process.num_fds(), process.num_threads()

    def run(self) -> None:
        """Look until `stop`."""
        begun = time.monotonic()
        while not self._stopped:
            self.rows.append((time.monotonic() - begun, *self.look()))
            time.sleep(self._pause)

    def stop(self) -> None:
        """Stop looking."""
        self._stopped = True
        self.join()


def growth(mebibytes: Sequence[float]) -> float:
    """Return by how much memory has grown, from the second tenth of the samples to the last."""
    tenth = max(1, len(mebibytes) // 10)
    return float(np.median(mebibytes[-tenth:]) - np.median(mebibytes[tenth : 2 * tenth]))


@contextmanager
def clients(load: Load, rate: float, chance: random.Random) -> Iterator[None]:
    """Run all clients in threads; on exit, wait until they have ended."""
    works: list[tuple[Any, ...]] = [(load.behave, rate / BEHAVING)] * BEHAVING
    works += [(work,) for work in MISBEHAVIOUR]
    with ThreadPoolExecutor(len(works)) as threads:
        calls = []
        for work, *more in works:
            own = random.Random(chance.getrandbits(64))
            first = (load, own) if work in MISBEHAVIOUR else (own,)
            calls.append(threads.submit(work, *first, *more))
        try:
            yield
        finally:
            load.over.set()
            for call in calls:
                call.result()


def settle(client: Any, watch: Watch, before: int) -> tuple[int, float]:
    """Return file descriptors left open, and waiting images, as soon as both are few."""
    for _ in range(100):
        left = watch.look()[1] - before
        waiting = sum(v for (name, _), v in metrics(client).items() if name == "zoo_waiting_images")
        if left <= LEFT and not waiting:
            break
        time.sleep(0.1)
    return left, waiting


def hold(load: Load, asked: Asked, over_http: bool, begun: Barrier) -> None:
    """Ask for a long answer, and compare it; `begun` is passed when it is surely accepted."""
    client = Client(load.http, load.rpc)
    try:
        if over_http:
            connection = client.open()
            connection.request("GET", stream(asked))
            answer = connection.getresponse()
            begun.wait(PATIENCE)
            right = answer.read() == asked.local(load.generators).tobytes()
        else:
            begun.wait(PATIENCE)
            images = FORMATS["gRPC"].ask(client, asked)
            right = np.array_equal(images, asked.local_rows(load.generators))
    # Whatever it is, the client has no answer.
    except Exception as error:
        load.tally.fault("lost", f"held {asked}: {type(error).__name__} {error}")
        return
    finally:
        client.close()
    if right:
        load.tally.see("long answers held at the end")
    else:
        load.tally.fault("wrong", f"held {asked}")


def end_in_the_middle(
    process: subprocess.Popen[str], load: Load, rate: float, chance: random.Random
) -> dict[str, Any]:
    """Send SIGTERM under load, while long answers are sent; all that was accepted must come.

    Returns the seconds until the process had ended, its exit code, and the answers that came after
    the signal.
    """
    begun = Barrier(HELD + 1)
    with ThreadPoolExecutor(HELD + BEHAVING) as threads:
        for number in range(HELD):
            asked = Asked(*(("stylegan", 400) if number % 2 else ("dcgan", 4000)), number, 0)
            threads.submit(hold, load, asked, number % 2 == 0, begun)
        for _ in range(BEHAVING):
            own = random.Random(chance.getrandbits(64))
            threads.submit(load.behave, own, rate / BEHAVING)
        begun.wait(PATIENCE)
        time.sleep(RECEIVED)
        before, load.ended = load.tally.answers, time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(PATIENCE)
        seconds = time.monotonic() - load.ended
        # Those who have not asked since then.
        load.over.set()
    return {"seconds": seconds, "exit": code, "answers": load.tally.answers - before}


def soak(
    minutes: float, rate: float, seed: int, options: Sequence[str] = (), allowed: float = GROWTH
) -> dict[str, Any]:
    """Run the test and return its report, whose `faults` is empty if all is as it should be.

    rate: requests a second of the clients that behave, together. options: of zoo.serve.
    allowed: MiB by which memory may grow.
    """
    chance = random.Random(seed)
    service = (*engine_options(MODELS), "--backend", "native", "--grpc-port", "0", *options)
    with open_local(MODELS) as generators, serving(*service) as (client, process):
        assert process.stdout is not None
        rpc = process.stdout.readline().strip().removeprefix("grpc://")
        http = client.base_url.netloc.decode()
        watch = Watch(psutil.Process(process.pid), min(5.0, minutes * 60 / 100))
        before = watch.look()[1]
        load = Load(http, rpc, generators)
        with clients(load, rate, chance):
            watch.start()
            time.sleep(minutes * 60)
            cpu = sum(psutil.Process(process.pid).cpu_times()[:2])
        watch.stop()
        left, waiting = settle(client, watch, before)
        client.close()
        last = Load(http, rpc, generators)
        last.tally = load.tally
        ending = end_in_the_middle(process, last, rate, chance)
    tally, rows = load.tally, watch.rows
    grown = growth([row[1] for row in rows])
    faults = [f"{count} {kind}" for kind, count in tally.faults.items()]
    faults += [f"memory has grown by {grown:.1f} MiB"] * (grown > allowed)
    faults += [f"{left} file descriptors left"] * (left > LEFT)
    faults += [f"{waiting:.0f} images wait for nobody"] * (waiting > 0)
    faults += [f"exit code {ending['exit']}"] * (ending["exit"] not in (0, -15, 143))
    return {
        "minutes": minutes,
        "rate": rate,
        "seed": seed,
        "clients": BEHAVING + len(MISBEHAVIOUR),
        "answers": tally.answers,
        "images": tally.images,
        "wrong": tally.faults["wrong"],
        "lost": tally.faults["lost"],
        "others": dict(tally.others),
        "milliseconds": {name: percentiles(tally.seconds[name]) for name in FORMATS},
        "cpu_seconds": round(cpu, 1),
        "growth_mib": round(grown, 2),
        "descriptors_left": left,
        "ending": ending,
        "faults": faults,
        "words": tally.words,
        "samples": thin([[round(row[0], 1), round(row[1], 2), *row[2:]] for row in rows]),
        "machine": machine.describe(),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Return the number of latencies and their percentiles in milliseconds."""
    if not seconds:
        return {"answers": 0}
    found = np.percentile(np.array(seconds) * 1e3, [50, 95, 99, 100])
    values = zip(("p50", "p95", "p99", "max"), found, strict=True)
    return {"answers": len(seconds), **{name: round(float(value), 2) for name, value in values}}


def thin(rows: Sequence[Any], most: int = 60) -> list[Any]:
    """Return at most that many rows, the last among them."""
    step = -(-len(rows) // most)
    return list(rows[::-1][::step][::-1])


def tabulate(report: dict[str, Any]) -> str:
    """Return a report as text."""
    table = [("format", "answers", "p50 ms", "p95 ms", "p99 ms", "max ms")]
    for name, row in report["milliseconds"].items():
        cells = (f"{row.get(key, float('nan')):.1f}" for key in ("p50", "p95", "p99", "max"))
        table.append((name, f"{row['answers']:,}", *cells))
    first, last = report["samples"][0], report["samples"][-1]
    highest = [max(row[column] for row in report["samples"]) for column in (1, 2, 3)]
    watched = [("", "first", "last", "highest")]
    for column, name in enumerate(("MiB", "file descriptors", "threads"), 1):
        cells = (f"{value:.0f}" for value in (first[column], last[column], highest[column - 1]))
        watched.append((name, *cells))
    ending = report["ending"]
    return "\n".join(
        (
            f"{report['answers']:,} right answers, {report['images']:,} images; "
            f"{report['wrong']} wrong, {report['lost']} lost",
            *(f"{count:,} {kind}" for kind, count in sorted(report["others"].items())),
            "",
            *align_columns(table, right=range(1, 6)),
            "",
            *align_columns(watched, right=range(1, 4)),
            f"memory has grown by {report['growth_mib']:.1f} MiB since the second tenth; "
            f"CPU {report['cpu_seconds']:.0f} s",
            f"SIGTERM: {ending['answers']} answers after it, exit code {ending['exit']} "
            f"after {ending['seconds']:.1f} s",
            *(f"FAULT: {fault}" for fault in report["faults"]),
            *report["words"],
        )
    )


@click.command()
@click.option("--minutes", type=click.FloatRange(0.05), default=30.0, help="Of load.")
@click.option("--rate", type=click.FloatRange(1), default=64.0, help="Requests a second.")
@click.option("--seed", default=0, help="Of what the clients ask for.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A .json.  [benchmarks/results/soak-KIND.json]"
)
def main(minutes: float, rate: float, seed: int, out: Path | None) -> None:
    """Put the service under load, and compare every answer."""
    report = soak(minutes, rate, seed)
    out = out or RESULTS / f"soak-{machine.kind()}.json"
    out.write_text(json.dumps(report, indent=1) + "\n")
    click.echo(tabulate(report))
    sys.exit(bool(report["faults"]))


if __name__ == "__main__":
    main()
