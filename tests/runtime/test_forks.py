"""Forks while other threads are at work: the children end well, with the right images."""

import textwrap
from pathlib import Path

import pytest

from backends import BACKENDS
from programs import prints

FORKED = """
import os, signal, sys, threading, time, runtime
path, backend = sys.argv[1:3]
def fork(work, times, pause):
    for _ in range(times):
        time.sleep(pause)
        child = os.fork()
        if child == 0:
            signal.alarm(40)
            os._exit(0 if work() else 1)
        status = os.waitpid(child, 0)[1]
        if status:
            print("child:", os.waitstatus_to_exitcode(status), flush=True)
            os._exit(1)
    print("good", flush=True)
    os._exit(0)
def thread(work):
    def repeat():
        while True: work()
    threading.Thread(target=repeat, daemon=True).start()
"""


def forked(engine: Path, backend: str, code: str) -> None:
    """Forks while other threads are at work, whose children end well."""
    prints("good", FORKED + textwrap.dedent(code), engine, backend, timeout=300)


@pytest.mark.parametrize("backend", BACKENDS)
def test_forks_beside_a_stream(vae_engine: Path, backend: str) -> None:
    """Another thread is in Stream.next: the child's own next() begins after what it handed out."""
    forked(
        vae_engine,
        backend,
        """
        g = runtime.Generator(path, backend=backend, instances=1)
        head = {part.tobytes() for part in g.sample(2000, seed=5).reshape(10, -1)}
        s = g.stream(2000, seed=5, batch=200)
        thread(lambda: next(s, None))
        fork(lambda: all(part.tobytes() in head for part in s), 3, 0.03)
        """,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_forks_beside_samples(vae_engine: Path, backend: str) -> None:
    forked(
        vae_engine,
        backend,
        """
        g = runtime.Generator(path, backend=backend, instances=2)
        expected = g.sample(20)
        for _ in range(3):
            thread(lambda: g.sample(20))
        fork(lambda: (g.sample(20) == expected).all(), 6, 0.01)
        """,
    )


def test_forks_beside_the_first_call_in_bf16(vae_engine: Path) -> None:
    """It compares sizes of runs, under a lock, for as long as that takes."""
    forked(
        vae_engine,
        "openvino",
        """
        try:
            g = runtime.Generator(path, backend=backend, precision="bf16")
        except runtime.errors.BackendUnavailableError:
            print("good")
            sys.exit()
        thread(lambda: g.sample(3, batch=3))
        fork(lambda: len(g.sample(3, batch=3)) == 3, 1, 0.05)
        """,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_forks_beside_a_load(vae_engine: Path, backend: str) -> None:
    forked(
        vae_engine,
        backend,
        """
        load = lambda: runtime.Generator(path, backend=backend).sample(1)
        expected = load()
        thread(load)
        fork(lambda: (load() == expected).all(), 4, 0.03)
        """,
    )
