"""The soak test, for some seconds, and that it sees what a service should not do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic

import numpy as np
import pytest

from benchmarks.soak import growth, soak
from benchmarks.soak_clients import Load
from benchmarks.soak_requests import FORMATS, Asked, Client, draw
from runtime import Generator
from services import open_local


@pytest.fixture(scope="module")
def local() -> Iterator[dict[str, Generator]]:
    with open_local(["vae"]) as generators:
        yield generators


@pytest.fixture
def liar(local: dict[str, Generator]) -> Iterator[str]:
    """A service whose answers depend on the seed; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seed = int(self.path.partition("seed=")[2].partition("&")[0])
            images = local["vae"].sample(2, seed=seed)
            if seed == 2:
                images[1, 3, 3] ^= 1
            if seed == 6:
                return
            content = images.tobytes()
            self.send_response(503 if seed == 8 else 200)
            self.send_header("X-Zoo-Shape", "2,28,28,1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:-1] if seed == 4 else content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def faults(liar: str, local: dict[str, Generator], seed: int, ended: bool) -> dict[str, int]:
    load = Load(liar, "", local)
    load.ended = monotonic() if ended else None
    load.compare(Client(liar, ""), "raw", Asked("vae", 2, seed, 0))
    return {**load.tally.faults, "right": load.tally.answers}


@pytest.mark.parametrize("ended", [False, True])
def test_wrong_and_lost_answers_are_counted(
    liar: str, local: dict[str, Generator], ended: bool
) -> None:
    assert faults(liar, local, 0, ended) == {"right": 1}
    assert faults(liar, local, 2, ended) == {"right": 0, "wrong": 1}
    assert faults(liar, local, 4, ended) == {"right": 0, "lost": 1}
    assert faults(liar, local, 8, ended) == {"right": 0, "lost": 1}
    # Without a byte of an answer: when the service has ended, it has not accepted the request.
    assert faults(liar, local, 6, ended) == {"right": 0, **({} if ended else {"lost": 1})}


def test_growth_of_memory() -> None:
    noise = np.random.default_rng(0).normal(0, 1, 1000)
    warm = np.minimum(np.arange(1000), 100)
    assert abs(growth(list(noise + warm))) < 1
    assert growth(list(noise + warm + np.arange(1000) / 50)) > 10


def test_the_requests_are_mixed() -> None:
    chance = random.Random(0)
    drawn = [draw(chance) for _ in range(2000)]
    assert {name for name, _ in drawn} == set(FORMATS)
    asked = [each for _, each in drawn]
    assert len({each.seed for each in asked}) == 2000
    assert {each.model for each in asked} == {"vae", "cgan", "dcgan", "stylegan"}
    assert min(each.count for each in asked) == 1 and max(each.count for each in asked) > 256


@pytest.mark.slow
def test_some_hundred_requests() -> None:
    """Memory is still being taken into use, so it may grow by more than in half an hour."""
    report = soak(0.1, 60, seed=3, allowed=64)
    assert report["faults"] == [], report["words"]
    assert all(row["answers"] for row in report["milliseconds"].values())
    assert {
        "answers read slowly",
        "deadlines passed",
        "long answers held at the end",
        "malformed requests refused",
        "readers that vanished",
    } <= set(report["others"])
    assert report["others"]["long answers held at the end"] == 4
