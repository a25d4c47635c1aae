"""Engines among processes, threads, forks and signals, and files that change under them.

What ends a process, or hangs in it, runs in one of its own.
"""

import os
from pathlib import Path

import pytest

import zoo
from backends import BACKENDS
from programs import prints


def test_a_handler_may_close_the_stream_that_waits(vae_engine: Path) -> None:
    prints(
        "closed, closed",
        f"""
        import os, signal, threading, runtime
        g = runtime.Generator({str(vae_engine)!r}, instances=1)
        stream = g.stream(10**9, batch=4000)
        signal.signal(signal.SIGUSR1, lambda *_: stream.close())
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        said = []
        for _ in range(2):
            try:
                while True:
                    next(stream)
            except runtime.errors.ClosedError as error:
                said.append(str(error).split()[-1])
        print(", ".join(said))
        """,
    )


AT_EXIT = {
    "sample": "while True: g.sample(40)",
    "sample one": "while True: g.sample(1)",
    "stream": "while True: next(s)",
    "load": "while True: runtime.Generator(path, backend=backend).sample(1)",
}


def leave(engine: Path, backend: str, work: str, end: str = "", status: int = 0) -> None:
    """End a program, after the statements `end`, while its daemon threads are at work."""
    prints(
        "leaving",
        f"""
        import ctypes, threading, time, runtime
        path, backend = {str(engine)!r}, {backend!r}
        g = runtime.Generator(path, backend=backend, instances=2)
        s = g.stream(10**9, batch=16)
        def work():
            {AT_EXIT[work]}
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
        print("leaving", flush=True)
        {end}
        """,
        status=status,
        timeout=60,
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("work", AT_EXIT)
def test_daemon_threads_at_the_end(vae_engine: Path, backend: str, work: str) -> None:
    """Python ends while threads that it does not wait for are at work."""
    leave(vae_engine, backend, work)


@pytest.mark.parametrize("work", AT_EXIT)
def test_threads_outlive_python(vae_engine: Path, work: str) -> None:
    """The interpreter is gone for a second before the process is."""
    # sleep() gets the exit status: 1 second.
    sleep = "libc = ctypes.CDLL(None); libc.on_exit(libc.sleep, None); raise SystemExit(1)"
    leave(vae_engine, "native", work, sleep, status=1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_engines_are_of_use_to_the_last(vae_engine: Path, backend: str) -> None:
    """Exit handlers, in any order, still get images, also beside running threads."""
    prints(
        "True True",
        f"""
        import atexit, threading
        def after():
            print(same(), flush=True)
        atexit.register(after)
        import runtime
        g = runtime.Generator({str(vae_engine)!r}, backend={backend!r}, instances=2)
        stream = g.stream(500, batch=50)
        expected = g.sample(100)
        def same():
            return (g.sample(100) == expected).all() and (next(stream) == g.sample(50)).all()
        def before():
            global stream
            print(same(), end=" ")
            stream = g.stream(500, batch=50)
        atexit.register(before)
        def work():
            while True: g.sample(100)
        threading.Thread(target=work, daemon=True).start()
        """,
        timeout=60,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_child_has_the_engine_that_was_loaded(
    vae_engine: Path, backend: str, tmp_path: Path
) -> None:
    """Whatever its folder is, and whatever has become of the file."""
    engine = tmp_path / "e.onnx"
    engine.write_bytes(vae_engine.read_bytes())
    other = tmp_path / "other"
    other.mkdir()
    (other / "e.onnx").write_bytes(zoo.engine_path("gan.onnx").read_bytes())
    prints(
        "same same same",
        f"""
        import os, runtime
        g = runtime.Generator("e.onnx", backend={backend!r}, instances=1)
        expected = g.sample(20)
        def child():
            pid = os.fork()
            if pid == 0:
                print("same" if (g.sample(20) == expected).all() else "else", end=" ", flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
        child()
        os.chdir("other")
        child()
        os.truncate("../e.onnx", 100)
        os.remove("../e.onnx")
        child()
        """,
        cwd=tmp_path,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_that_cannot_be_made(vae_engine: Path, backend: str) -> None:
    """An error of the runtime, and no end of the process; fewer are had afterwards."""
    prints(
        "ExecutionError True",
        f"""
        import resource, runtime
        path, backend = {str(vae_engine)!r}, {backend!r}
        g = runtime.Generator(path, backend=backend, instances=1)
        expected = g.sample(20)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        # Room for some of 4096 stacks of some MiB.
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**31, hard))
        try:
            runtime.Generator(path, backend=backend, instances=4096).sample(5000)
        except runtime.errors.Error as error:
            assert "instances" in str(error), error
            print(type(error).__name__, end=" ")
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        g = runtime.Generator(path, backend=backend, instances=2)
        print((g.sample(20) == expected).all())
        """,
    )


def test_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    """As `cp new.plan old.plan` begins. An error, not the end of the process."""
    path = tmp_path / "big.plan"
    size = 64 << 20
    header = b"ftrt\0\0\0\0" + (2).to_bytes(8, "little") + size.to_bytes(8, "little")
    prints(
        "EngineFileError",
        f"""
        import os, threading, runtime
        header, path = {header!r}, {str(path)!r}
        stop = False
        def cut():
            while not stop:
                os.truncate(path, {size})
                os.truncate(path, 4096)
        with open(path, "wb") as file:
            file.write(header)
        thread = threading.Thread(target=cut)
        thread.start()
        said = set()
        for _ in range(10):
            try:
                runtime.manifest.read(path)
            except runtime.errors.EngineFileError as error:
                said.add("EngineFileError")
        stop = True
        thread.join()
        print(*said)
        """,
    )


def test_onnxruntime_sends_nothing(vae_engine: Path, tmp_path: Path) -> None:
    """No thread, no socket and no file of its telemetry; a forked child ends as it should."""
    (tmp_path / "home").mkdir()
    prints(
        "0 1 [] []",
        f"""
        import os, sys, time, runtime
        from pathlib import Path
        g = runtime.Generator({str(vae_engine)!r}, backend="onnxruntime", instances=1)
        g.sample(20)
        time.sleep(0.3)
        child = os.fork()
        if child == 0:
            sys.exit(0)
        ended = os.waitpid(child, 0)[1]
        threads = len(os.listdir("/proc/self/task")) - 1
        targets = [os.readlink(p) for p in Path("/proc/self/fd").iterdir() if p.is_symlink()]
        sockets = [target for target in targets if target.startswith("socket:")]
        print(ended, threads, sockets, [str(p) for p in Path.home().rglob("*")])
        """,
        env={**os.environ, "HOME": str(tmp_path / "home"), "OPENBLAS_NUM_THREADS": "1"},
        timeout=60,
    )
