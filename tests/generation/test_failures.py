"""Runs that are killed, or lack room, memory or permission: one line of error.

The next run completes. Nothing that is not whole is taken for a shard, and no run changes a byte.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from repository import ROOT
from shards import children, contents, error_of, make, start, wait_for
from zoo.errors import ConfigError, OutputError
from zoo.generation.plan import Plan, shards_of_part
from zoo.generation.run import generate
from zoo.generation.source import open_source
from zoo.images.atomic import lock_output


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Contents of the data set that `start` makes."""
    folder = tmp_path_factory.mktemp("whole")
    generate("cgan", str(folder), count=2400, shard_size=100, workers=1)
    return contents(folder)


def injected(tmp_path: Path, program: str) -> dict[str, str]:
    """Return an environment in which every process of Python, also a worker, begins with this."""
    (tmp_path / "sitecustomize.py").write_text(program)
    return os.environ | {"PYTHONPATH": str(tmp_path)}


def assert_completes(out: Path, whole: dict[str, str]) -> None:
    assert error_of(start(out, "--workers", 1)) == ""
    assert contents(out) == whole
    assert error_of(start(out, "--verify")) == ""


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.long)])
def test_killed_at_any_moment(tmp_path: Path, whole: dict[str, str], kills: int) -> None:
    """The run is begun again at once, while its workers may still be at work."""
    moments, out = random.Random(0), tmp_path / "set"
    kept = 0
    for _ in range(kills):
        run = start(out, "--workers", 2)
        wait_for(lambda run=run: children(run) or run.poll() is not None)
        time.sleep(moments.uniform(0, 0.6))
        run.kill()
        assert b"error" not in run.communicate()[1]
        made = {name: digest for name, digest in contents(out).items() if name[0] != "."}
        assert made.items() <= whole.items(), "whole shards, or none"
        kept += len(made)
        if len(made) == len(whole):
            shutil.rmtree(out)
    assert kept, "some lived long enough to make shards"
    assert_completes(out, whole)


def test_a_killed_worker_is_replaced(tmp_path: Path, whole: dict[str, str]) -> None:
    run = start(tmp_path / "set", "--workers", 2)
    wait_for(lambda: list((tmp_path / "set").glob("*.tar")))
    os.kill(children(run)[0], signal.SIGKILL)
    assert error_of(run) == ""
    assert contents(tmp_path / "set") == whole


def test_a_shard_whose_workers_are_all_killed(tmp_path: Path, whole: dict[str, str]) -> None:
    fatal = "import os, sys\nif 'worker.work' in str(sys.orig_argv): os.kill(os.getpid(), 9)"
    run = start(tmp_path / "set", env=injected(tmp_path, fatal))
    assert error_of(run) == "error: a process that makes shards has failed: killed by SIGKILL\n"
    assert contents(tmp_path / "set") == {}
    assert_completes(tmp_path / "set", whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_by_a_signal(tmp_path: Path, whole: dict[str, str], number: signal.Signals) -> None:
    out = tmp_path / "set"
    run = start(out, "--workers", 2)
    wait_for(lambda: list(out.glob("*.tar")))
    workers = children(run)
    run.send_signal(number)
    assert run.wait(60) == 128 + number
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert contents(out).items() <= whole.items(), "nothing unfinished is left"
    assert run.stderr is not None
    assert run.stderr.read().strip() == (b"interrupted" if number == signal.SIGINT else b"")


def test_two_runs_of_a_folder_at_once(tmp_path: Path, whole: dict[str, str]) -> None:
    """Two of the same part are refused; others wait for a shard that they share."""
    out = tmp_path / "set"
    runs = [start(out, "--workers", 1), start(out, "--workers", 1), start(out, "--part", "0/1")]
    said = sorted(map(error_of, runs))
    expected = f"error: cannot write {out}/index.jsonl: another run is writing it\n"
    assert said[0] == "" and set(said) <= {"", expected}
    assert contents(out) == whole
    shutil.rmtree(out)
    runs = [start(out, "--part", part) for part in ("0/2", "1/2", "2/3")] + [start(out)]
    assert list(map(error_of, runs)) == [""] * 4
    assert contents(out) == whole


def test_a_run_that_another_one_has_begun(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with lock_output(tmp_path / "set" / "index.jsonl"):
        with pytest.raises(OutputError, match="index.jsonl: another run is writing it"):
            make(tmp_path / "set")
        assert "1 shard made" in make(tmp_path / "set", part="1/3")


@pytest.mark.parametrize("format", ["webdataset", "parquet", "npy", "png"])
def test_files_that_may_not_grow(tmp_path: Path, format: str) -> None:
    """As on a full disk, a write fails half way, in the worker."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 if format == "png" else 16_384, limit[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*/set/00000000.*File too large"):
            make(tmp_path / "set", format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert contents(tmp_path / "set") == {}, "nothing unfinished is left"
    assert "3 shards made" in make(tmp_path / "set", format=format)
    assert "3 shards as" in make(tmp_path / "set", format=format, verify=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk(small_disk: Path, whole: dict[str, str]) -> None:
    out = small_disk / "set"
    said = error_of(start(out, "--workers", 2))
    assert "cannot write" in said and said.endswith("No space left on device\n")
    made = contents(out)
    assert 0 < len(made) < len(whole) and made.items() <= whole.items()
    grow = ["mount", "-o", "remount,size=64m", str(small_disk)]
    subprocess.run(grow, check=True, capture_output=True)
    assert_completes(out, whole)


def obey_permissions() -> None:
    """Let the next program obey the permissions of files, if it is root's."""
    cap_dac_override, pr_capbset_drop = 1, 24
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


def test_a_folder_without_permission(tmp_path: Path, whole: dict[str, str]) -> None:
    out = tmp_path / "set"
    out.mkdir()
    out.chmod(0o555)
    said = error_of(start(out, "--workers", 1, preexec_fn=obey_permissions))
    assert said == f"error: cannot write {out}: permission denied\n"
    out.chmod(0o777)
    assert_completes(out, whole)


def test_workers_without_memory(tmp_path: Path, whole: dict[str, str]) -> None:
    """Wherever memory ends, at the start, in the engine or in a shard, the run says so."""
    said = []
    for megabytes in (64, 95):
        program = (
            "import resource, sys\n"
            f"limit = ({megabytes} << 20,) * 2\n"
            "if 'worker.work' in str(sys.orig_argv): resource.setrlimit(resource.RLIMIT_AS, limit)"
        )
        run = start(tmp_path / "set", "--workers", 1, env=injected(tmp_path, program))
        said.append(error_of(run))
    assert any(said) and not any("Traceback" in text for text in said), said
    assert_completes(tmp_path / "set", whole)


def test_a_run_without_memory_for_threads(
    tmp_path: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker cannot be begun; the first one, which makes shards, is ended."""
    begin, begun = threading.Thread.start, []

    def fail(thread: threading.Thread) -> None:
        if begun:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(OutputError, match="no further process can make shards: can't start"):
        generate("cgan", str(tmp_path / "set"), count=2400, shard_size=100, workers=2)
    assert len(begun) == 1 and not begun[0].is_alive()
    assert contents(tmp_path / "set").items() <= whole.items(), "nothing unfinished is left"
    assert_completes(tmp_path / "set", whole)


def test_a_run_without_files(tmp_path: Path, whole: dict[str, str]) -> None:
    """However many files may be open, the run completes, or one line says what it lacks."""
    said = []
    for most in range(8, 24, 3):
        limit = f'ulimit -n {most}; exec "$@"'
        run = start(tmp_path / "set", "--workers", 2, prefix=["sh", "-c", limit, "sh"])
        said.append(error_of(run))
    assert any("Too many open files" in text for text in said) and "" in said, said
    assert_completes(tmp_path / "set", whole)


def test_libraries_without_memory(tmp_path: Path) -> None:
    """The loader finds a library, and no memory for it, as if memory were a little smaller."""
    for module in ("numpy", "runtime._runtime", "isal"):
        program = (
            "import sys\n"
            "class Finder:\n"
            "    def find_spec(self, name, *_):\n"
            f"        if name == {module!r}:\n"
            "            raise ImportError('libx.so: failed to map segment from shared object')\n"
            "sys.meta_path.insert(0, Finder())\n"
        )
        said = error_of(start(tmp_path / "set", env=injected(tmp_path, program)))
        assert "libx.so: failed to map segment from shared object: out of memory" in said
        assert "install" not in said and not (tmp_path / "set").exists()


def test_clocks_that_jump(tmp_path: Path, whole: dict[str, str]) -> None:
    """The wall clock leaps back and forth in every process, and so do the times of files."""
    program = (
        "import random, time\n"
        "for name in ('time', 'time_ns'):\n"
        "    setattr(time, name, lambda: random.randrange(2**31))\n"
    )
    out, env = tmp_path / "set", injected(tmp_path, program)
    run = start(out, "--workers", 2, "-v", env=env)
    assert b"error" not in run.communicate(timeout=120)[1] and run.returncode == 0
    assert contents(out) == whole
    for number, path in enumerate(sorted(out.iterdir())):
        os.utime(path, (number * 10**9, number * 10**9))
    (out / "00000003.tar").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert error_of(start(out, env=env)) == ""
    after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    assert before == {name: time for name, time in after.items() if name != "00000003.tar"}
    assert contents(out) == whole


def plan(**options: Any) -> Plan:
    source = {"engine": "", "digest": "", "seed": 0, "labels": None, "prior": "normal"}
    source |= {"truncation": 1.0, "options": {}, "format": "webdataset"}
    return Plan(**{**source, "first": 0, "shard_size": 10_000, **options})


def test_ten_million_images() -> None:
    """Shards and parts cover each index once, in the order of their names."""
    for count, first, size in ((10**7, 0, 10_000), (10**7 + 1, 2**64 - 10**7 - 1, 9_973)):
        large = plan(count=count, first=first, shard_size=size)
        ranges = [large.rows(shard) for shard in range(large.shards)]
        ends = [begin + rows for begin, rows in ranges]
        assert [first, *ends[:-1]] == [begin for begin, _ in ranges]
        assert ends[-1] == first + count and max(rows for _, rows in ranges) == size
        names = [large.name(shard) for shard in range(large.shards)]
        assert names == sorted(set(names))
        parts = [shard for part in range(7) for shard in shards_of_part(large, (part, 7))]
        assert sorted(parts) == list(range(large.shards))
    assert plan(count=10**7).shards == 1000


def test_too_many_shards() -> None:
    with pytest.raises(ConfigError, match="--shard-size: 10,000 images would give"):
        plan(count=2**62)
    assert plan(count=10**11).shards == 10**7


def test_an_engine_that_changes_in_a_run(tmp_path: Path) -> None:
    """The plan names the file's hash, which every worker checks."""
    engine = tmp_path / "cgan.onnx"
    shutil.copy(ROOT / "zoo" / "weights" / "cgan.onnx", engine)
    source = open_source(engine)
    shutil.copy(ROOT / "zoo" / "weights" / "vae.onnx", engine)
    with pytest.raises(ConfigError, match="is not the engine that the run began with"):
        source.open()
