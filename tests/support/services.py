"""The service as a process, and clients of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
from prometheus_client.parser import text_string_to_metric_families

from runtime import Generator
from zoo import engine_path


def engine_options(names: Iterable[str]) -> list[str]:
    """Return the options of zoo.serve that name these engines."""
    return [word for name in names for word in ("--engine", f"{name}.onnx")]


@contextmanager
def open_local(names: Iterable[str]) -> Iterator[dict[str, Generator]]:
    """Open generators in this process, to compare a service's images with."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                Generator(engine_path(f"{name}.onnx"), backend="native", instances=1)
            )
            for name in names
        }


@contextmanager
def serving(*options: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """Serve engines at a free port; yield a client and the process, which has told its address."""
    command = [sys.executable, "-m", "zoo.serve", "--port", "0", "--instances", "1", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        with httpx.Client(base_url=url, timeout=120) as client:
            for _ in range(600):
                try:
                    if client.get("/readyz").status_code == 200:
                        break
                except httpx.ConnectError:
                    time.sleep(0.1)
            yield client, process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def metrics(client: httpx.Client) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the metrics of a service by name and the values of their labels, sorted."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in families
        for sample in family.samples
    }
