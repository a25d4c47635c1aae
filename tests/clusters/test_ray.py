"""`zoo.generate --ray` on a cluster of three nodes, of which one is lost, and an actor killed.

Needs Ray, which `make test-long` installs and `make test` does not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from shards import contents, error_of, wait_for
from zoo.generation.run import generate

pytest.importorskip("ray", reason="needs Ray (make test-long)")

import ray
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.long

SHARDS, SIZE = 60, 1000


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contents of the data set made without Ray."""
    folder = tmp_path_factory.mktemp("whole")
    generate("cgan", str(folder), count=SHARDS * SIZE, shard_size=SIZE)
    return contents(folder)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cluster, list[Any]]]:
    """Three nodes on this machine, each with one core for actors."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster()
    try:
        memory = 80 * 2**20
        nodes = [made.add_node(num_cpus=1, object_store_memory=memory) for _ in range(3)]
        made.wait_for_nodes()
        yield made, nodes
    finally:
        made.shutdown()


def start(out: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "zoo.generate", "--engine", "cgan", "--out", str(out)]
    command += ["-n", str(SHARDS * SIZE), "--shard-size", str(SIZE), *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def actors() -> list[psutil.Process]:
    """Return the processes of actors that are making a shard."""
    processes = psutil.Process().children(recursive=True)
    return [p for p in processes if p.is_running() and "ray::Actor.make" in " ".join(p.cmdline())]


def made(out: Path) -> int:
    return len(list(out.glob("*.tar")))


def test_an_actor_and_a_node_are_lost(
    cluster: tuple[Cluster, list[Any]], tmp_path: Path, whole: dict[str, str]
) -> None:
    running, (_, second, _) = cluster
    out = tmp_path / "set"
    run = start(out, "--ray", running.address)
    wait_for(lambda: made(out) >= 3)
    wait_for(actors)
    actors()[0].kill()
    before = made(out)
    wait_for(lambda: made(out) >= before + 3)
    running.remove_node(second, allow_graceful=False)
    assert made(out) < SHARDS, "the node was lost in the middle"
    assert error_of(run) == ""
    assert contents(out) == whole
    again = start(out, "--ray", running.address, "--verify")
    assert error_of(again) == ""


def test_a_run_that_is_killed_on_a_cluster(
    cluster: tuple[Cluster, list[Any]], tmp_path: Path, whole: dict[str, str]
) -> None:
    """Its actors end with it; the next run goes on where it was."""
    out = tmp_path / "set"
    run = start(out, "--ray", cluster[0].address)
    wait_for(lambda: made(out) >= 3)
    run.kill()
    run.communicate()
    kept = made(out)
    assert kept < SHARDS
    assert error_of(start(out, "--ray", cluster[0].address)) == ""
    assert contents(out) == whole


def test_a_cluster_of_this_process(tmp_path: Path, whole: dict[str, str]) -> None:
    """`local` starts one for the run; a connection of the caller is used, and stays."""
    options = ["--ray", "local", "--workers", "2", "-n", str(10 * SIZE)]
    assert error_of(start(tmp_path / "local", *options)) == ""
    assert contents(tmp_path / "local").items() <= whole.items() and made(tmp_path / "local") == 10
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        summary = generate(
            "cgan", str(tmp_path / "own"), count=2 * SIZE, shard_size=SIZE, ray="local"
        )
        assert "2 shards made" in summary and ray.is_initialized()
    finally:
        ray.shutdown()
