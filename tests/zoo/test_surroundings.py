"""Commands in unusual surroundings: streams, names, users, signals, locks."""

from __future__ import annotations

import errno
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shell import command, interrupt, refuses, run, succeeds, wait_for_output
from zoo import cache, signals
from zoo.errors import ConfigError, OutputError
from zoo.images import atomic

ENGINE = "linear-ae.onnx"
SAMPLE = ("sample", "--engine", "vae.onnx", "-n", 2)
MANY = 2 * 10**6
"""More images than any test has time for, though they would fit on a disk."""
LATIN = os.fsdecode(b"caf\xe9")
"""A name that is not valid UTF-8."""


@pytest.fixture
def images(tmp_path: Path) -> str:
    """A file of images whose name is not UTF-8."""
    name = f"{LATIN}.npy"
    levels = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
    np.save(tmp_path / name, levels)
    return name


def close_streams(*numbers: int) -> Callable[[], None]:
    return lambda: [os.close(number) for number in numbers] and None


# Streams


@pytest.mark.parametrize("numbers", [(2,), (1,), (0, 1, 2)])
def test_closed_streams(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    done = run(*SAMPLE, "-v", "--out", "a.npy", cwd=tmp_path, before=close_streams(*numbers))
    assert done.returncode == 0, done
    succeeds(*SAMPLE, "--out", "b.npy", cwd=tmp_path)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    done = run("sample", "--engine", "nothing", cwd=tmp_path, before=close_streams(*numbers))
    assert done.returncode == 2


@pytest.mark.parametrize("device", ["/dev/full", "pipe"])
def test_stderr_that_takes_nothing(tmp_path: Path, device: str) -> None:
    """With a full disk or a closed reader, nothing important is lost."""

    def before() -> None:
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(os.open(device, os.O_WRONLY) if device != "pipe" else writer, 2)

    done = run(*SAMPLE, "-v", "--out", "a.npy", cwd=tmp_path, before=before)
    assert done.returncode == 0 and np.load(tmp_path / "a.npy").shape == (2, 28, 28, 1)
    assert run("sample", "--engine", "nothing", cwd=tmp_path, before=before).returncode == 2


def test_stdout_on_a_full_disk(tmp_path: Path) -> None:
    def before() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

    said = refuses("inspect", ENGINE, cwd=tmp_path, before=before)
    assert os.strerror(errno.ENOSPC) in said


@pytest.mark.parametrize("name", ["cluster", "edit", "train"])
def test_help_on_a_console_of_few_characters(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = succeeds(name, "--help", cwd=tmp_path)
    assert usual.startswith(f"Usage: python -m zoo.{name} ")
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1:strict")
    done = subprocess.run(command(name, "--help"), capture_output=True, check=True)
    escaped = done.stdout.decode("latin-1")
    assert escaped == usual.encode("latin-1", "backslashreplace").decode("latin-1")


def test_names_that_are_no_text(
    tmp_path: Path, images: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")
    for name, *rest in (
        ("sample", "--engine", "vae.onnx", "-n", 2),
        ("reconstruct", "--engine", ENGINE, images),
    ):
        out = f"{LATIN}-{name}.png"
        done = subprocess.run(
            command(name, *rest, "--out", out), cwd=tmp_path, capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, b""), done
        assert os.fsencode(out) in done.stdout
        assert (tmp_path / out).is_file()
    done = subprocess.run(
        command("sample", "--engine", LATIN), cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1


def output_of_terminal(args: list[str], cwd: Path, term: str) -> bytes:
    """Return what a command writes to a terminal on stderr."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        args, cwd=cwd, stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"TERM": term}
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += (part := os.read(ours, 4096))
            except OSError:  # so a terminal ends
                part = b""
            if not part:
                break
        os.close(ours)
    assert process.returncode == 0, said
    return said


@pytest.mark.parametrize(("term", "escapes"), [("dumb", False), ("", False), ("xterm", True)])
def test_escapes_are_for_terminals_that_know_them(tmp_path: Path, term: str, escapes: bool) -> None:
    code = (
        "import time; from zoo.progress import Progress\n"
        "with Progress(30) as progress:\n"
        "    for _ in range(13): time.sleep(0.1); progress.advance(1)\n"
    )
    said = output_of_terminal([sys.executable, "-c", code], tmp_path, term)
    assert (b"\x1b" in said) == escapes
    assert (b"images/s" in said) == escapes


# Users


def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "ZOO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.folder() == tmp_path / ".cache" / "generator-zoo"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache.folder() == tmp_path / "c" / "generator-zoo"
    no_home(monkeypatch)
    with pytest.raises(ConfigError, match="XDG_CACHE_HOME"):
        cache.folder()


def test_data_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Data in the system folder are found; a download is refused in one line."""
    from zoo.data import sources
    from zoo.errors import DataError

    no_home(monkeypatch)
    source = sources.SOURCES["fashion-mnist"]
    monkeypatch.setattr(sources, "SYSTEM_FOLDER", tmp_path)
    with pytest.raises(DataError, match=r"no cache folder: set XDG_CACHE_HOME or HOME"):
        sources.locate(source)
    (tmp_path / source.name).mkdir()
    for name in source.sha256:
        (tmp_path / source.name / name).touch()
    assert [file.name for file in sources.locate(source)] == list(source.sha256)


# Signals


@pytest.mark.parametrize("out", ["a.npy", "folder/"])
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("number", signals.ENDING)
def test_signals_leave_nothing(
    tmp_path: Path, out: str, number: signal.Signals, twice: bool
) -> None:
    args = ("--engine", "vae.onnx", "-n", MANY, "--out", out)
    status, said = interrupt("sample", *args, cwd=tmp_path, number=number, twice=twice)
    if not twice:
        assert status == 128 + number
        assert said.strip() == ("interrupted" if number == signal.SIGINT else "")


@pytest.mark.parametrize(
    ("name", "args", "begun"),
    [
        ("sample", ("-n", MANY, "--out", "a.npz"), {}),
        ("sample", ("-n", MANY, "--out", "a.gif"), {}),
        ("embed", ("huge.npy", "--out", "a.parquet"), {"size": 1}),
        (
            "retrieve",
            ("build", "huge.npy", "--no-pictures", "--out", "a.index"),
            {"pattern": ".zoo-*.lock", "size": 0},
        ),
        ("faces", ("-n", 10**6, "--out", "set"), {}),
    ],
)
def test_interrupted_commands_leave_nothing(
    tmp_path: Path, name: str, args: tuple[object, ...], begun: dict[str, Any]
) -> None:
    # A sparse file: it has a size, but takes no room on the disk.
    np.lib.format.open_memmap(tmp_path / "huge.npy", "w+", np.uint8, (10**7, 28, 28, 1))
    engine = () if name == "faces" else ("--engine", "vae.onnx")
    status, said = interrupt(name, *args, *engine, cwd=tmp_path, number=signal.SIGTERM, **begun)
    assert (status, said) == (143, "")


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    """As after `nohup`, or in the background of a script."""

    def before() -> None:
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)

    args = command("sample", "--engine", "vae.onnx", "-n", 6_000, "--out", "a.npy")
    with subprocess.Popen(args, cwd=tmp_path, preexec_fn=before) as process:
        wait_for_output(tmp_path)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 0
    assert np.load(tmp_path / "a.npy", mmap_mode="r").shape == (6_000, 28, 28, 1)


@pytest.mark.parametrize("module", ["zoo.sample", "zoo.train", "export"])
def test_interrupted_imports(tmp_path: Path, module: str) -> None:
    """Ctrl-C during imports: no traceback, and the exit status of the signal."""
    (tmp_path / "click.py").write_text("print('here', flush=True)\nimport time; time.sleep(60)")
    args = [sys.executable, "-m", module]
    with subprocess.Popen(
        args, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout and process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (-signal.SIGINT, b"")


def test_importing_leaves_signals_alone(tmp_path: Path) -> None:
    code = (
        "import signal, zoo, export\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_signals_wait_for_what_must_be_finished() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), signals.defer_signals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        done.append(True)
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


# Outputs


@pytest.mark.parametrize("name", ["a.npy", "-", "folder"])
def test_a_run_has_its_output_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write = atomic.replace_folder if name == "folder" else atomic.replace_file
    if name == "-":
        with pytest.raises(OutputError, match="standard output"), write("-"):
            pass
        return
    with write(path) as temporary:
        with pytest.raises(OutputError, match="another run is writing it"), write(path):
            pass
        with write(path.with_name(f"other-{name}")) as other:
            other.touch()
        if name != "folder":
            temporary.write_text("first")
    assert sorted(os.listdir(tmp_path)) == sorted([name, f"other-{name}"])


def test_a_name_with_a_nul() -> None:
    for write in (atomic.replace_file, atomic.replace_folder):
        with pytest.raises(OutputError, match="NUL"), write("a\0.npy"):
            pass


def test_an_empty_name(tmp_path: Path) -> None:
    for write in (atomic.replace_file, atomic.replace_folder):
        with pytest.raises(OutputError, match="the name is empty"), write(""):
            pass
    # As a shell gives it for a variable that is not set.
    for name, arguments in (
        ("sample", ("--engine", "vae.onnx", "-n", 4, "--out", "")),
        ("sample", ("--engine", "vae.onnx", "-n", 4, "--overwrite", "--out=")),
        ("train", ("linear-ae", "--out", "")),
    ):
        assert "an argument is empty, after '--out" in refuses(name, *arguments, cwd=tmp_path)
    said = refuses("embed", "--engine", "vae.onnx", "", "--out", "a.npz", cwd=tmp_path)
    assert "an argument is empty, after 'vae.onnx'" in said


@pytest.mark.parametrize("name", ["a.npy", "new", "old"])
def test_what_a_killed_run_left_goes_with_the_next(tmp_path: Path, name: str) -> None:
    """Only for the same output: files of other runs stay."""
    path = tmp_path / name
    folder = name != "a.npy"
    if name == "old":
        path.mkdir()
    write = "replace_folder" if folder else "replace_file"
    code = (
        "import os; from zoo.images import atomic\n"
        f"with atomic.{write}({str(path)!r}) as t:\n"
        f"    (t / 'x' if {folder} else t).write_bytes(b'half'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    place = path if name == "old" else tmp_path
    assert len(list(place.glob(".zoo-*.part"))) == 1
    with atomic.replace_file(tmp_path / "b.npy") as other:
        other.touch()
        assert len(list(place.glob(".zoo-*.part"))) >= 1
        with getattr(atomic, write)(path) as temporary:
            (temporary / "y" if folder else temporary).write_bytes(b"whole")
    assert not list(tmp_path.rglob(".zoo-*"))
    assert (path / "y" if folder else path).read_bytes() == b"whole"


def test_waiting_for_another_run(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    code = (
        "import sys, time; from zoo.images import atomic\n"
        f"with atomic.replace_file({str(path)!r}) as t:\n"
        "    print('writing', flush=True); time.sleep(0.3); t.write_text('theirs')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"writing\n"
        with atomic.lock_output(path, wait=True):
            assert path.read_text() == "theirs"


def test_two_runs_into_one_output(tmp_path: Path) -> None:
    args = command("sample", "--engine", "vae.onnx", "-n", MANY, "--out", "a.npy")
    with subprocess.Popen(args, cwd=tmp_path, stderr=subprocess.PIPE) as first:
        try:
            wait_for_output(tmp_path)
            done = run(*SAMPLE, "--out", "a.npy", cwd=tmp_path)
        finally:
            first.terminate()
    assert done.returncode == 2
    assert done.stderr == "error: cannot write a.npy: another run is writing it\n"


@pytest.mark.parametrize("out", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_no_results_on_the_standard_output(tmp_path: Path, out: str) -> None:
    """Not even if that is a file, which would be replaced."""

    def before() -> None:
        os.dup2(os.open(tmp_path / "said", os.O_WRONLY), 1)

    (tmp_path / "said").touch()
    said = refuses(*SAMPLE, "--out", out, cwd=tmp_path, before=before)
    assert f"cannot write {out}: results go to files" in said
