"""Runs on a Ray cluster, with a stand-in: actors that die, that get no room, and what is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_ray import FakeRay
from shards import contents, make
from zoo.errors import ConfigError, OutputError
from zoo.generation import ray_actors
from zoo.generation.source import Source

COUNT = 400
"""Ten shards."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("whole")
    make(folder, COUNT)
    return contents(folder)


def on(ray: FakeRay, out: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    monkeypatch.setitem(sys.modules, "ray", ray)
    return make(out, COUNT, workers=options.pop("workers", None), ray="local", **options)


def test_the_same_bytes(
    tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay(room=3)
    assert "10 shards made" in on(ray, tmp_path / "set", monkeypatch)
    assert len(ray.started) == 3 and ray.options["num_cpus"] == 1
    assert contents(tmp_path / "set") == whole and not ray.initialized
    assert "0 shards made, 10 kept" in on(ray, tmp_path / "set", monkeypatch)


def test_actors_that_die(
    tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two die in their first shard, one before it has any; each is replaced."""

    def dies(actor: int, name: str, *shard: int) -> bool:
        return (actor < 2 and name == "make") or (actor, name) == (3, "wait")

    ray = FakeRay(room=2, dies=dies)
    assert "10 shards made" in on(ray, tmp_path / "set", monkeypatch)
    assert len(ray.started) == 5
    assert contents(tmp_path / "set") == whole


def test_a_cluster_that_shrinks(
    tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Actors that wait for room hold no shard: one actor is enough for all of them."""
    ray = FakeRay(room=1)
    assert "10 shards made" in on(ray, tmp_path / "set", monkeypatch, workers=4)
    assert contents(tmp_path / "set") == whole


def test_a_shard_that_kills_its_actors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(room=2, dies=lambda actor, *call: call == ("make", 4))
    with pytest.raises(OutputError, match="an actor that makes shards has failed: it has died$"):
        on(ray, tmp_path / "set", monkeypatch)
    assert "10 shards made" not in on(FakeRay(room=2), tmp_path / "set", monkeypatch)


def test_actors_that_never_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay(room=2, dies=lambda actor, name, *_: name == "wait")
    with pytest.raises(OutputError, match="an actor that makes shards has failed"):
        on(ray, tmp_path / "set", monkeypatch)
    assert not ray.initialized


def test_a_folder_that_is_not_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere(ray_actors.Actor):
        def make(self, shard: int) -> dict[str, Any]:
            answer = super().make(shard)
            (self.folder / self.plan.name(shard)).unlink()
            return answer

    monkeypatch.setattr(ray_actors, "Actor", Elsewhere)
    with pytest.raises(OutputError, match="but is not here: expected a folder that all machines"):
        on(FakeRay(room=1), tmp_path / "set", monkeypatch)


def test_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeRay(room=1))
    refused = {"127.0.0.1:1": "Connection refused", "auto": "nobody listens at auto"}
    for address, words in refused.items():
        with pytest.raises(ConfigError, match=f"--ray {address}: there is no cluster: .*{words}"):
            make(tmp_path / "set", ray=address)
    ray = FakeRay(room=1)
    ray.resources = {"memory": 1.0}
    with pytest.raises(ConfigError, match="--ray local: the cluster has no CPU"):
        on(ray, tmp_path / "set", monkeypatch)


def test_without_ray(tmp_path: Path) -> None:
    program = "import sys; sys.modules['ray'] = None; from zoo.generate import main; main()"
    command = [sys.executable, "-c", program, "--engine", "cgan", "-n", "1", "--ray", "local"]
    done = subprocess.run(
        [*command, "--out", tmp_path / "set"], capture_output=True, text=True, check=False
    )
    expected = "error: this needs ray: pip install 'generator-zoo[ray]'\n"
    assert (done.returncode, done.stderr) == (2, expected)


@pytest.mark.parametrize(
    ("workers", "gpus", "actors", "share"), [(None, 3, 3, 1), (2, 3, 2, 1), (9, 3, 9, 0.3333)]
)
def test_actors_share_gpus(
    tmp_path: Path,
    whole: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    workers: int | None,
    gpus: int,
    actors: int,
    share: float,
) -> None:
    monkeypatch.setattr(Source, "uses_gpu", True)
    ray = FakeRay(room=actors)
    ray.resources = {"CPU": 32.0, "GPU": float(gpus)}
    on(ray, tmp_path / "set", monkeypatch, workers=workers)
    assert (len(ray.started), ray.options["num_gpus"]) == (actors, share)
    assert contents(tmp_path / "set") == whole
