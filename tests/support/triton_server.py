"""NVIDIA's Triton Inference Server: an environment of its own, and the server as a process.

The environment is made once for each user and Python, by scripts/triton_environment.sh, in the
user's cache folder: 55 MB for the server, and the client with gRPC.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import httpx
import pytest
from filelock import FileLock

from repository import ROOT
from zoo import cache as user_cache

SCRIPTS = ("triton_environment.sh", "tritonserver.sh")

UNAVAILABLE = 3
"""Exit code of the first, where packages or a server for this Python are missing."""


def _variables() -> dict[str, str]:
    """Return the environment without what Python and pip were told here."""
    dropped = ("PYTHON", "PIP_CONSTRAINT", "VIRTUAL_ENV", "LD_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


@cache
def environment() -> Path:
    """Return the folder of the environment; skip the test where it cannot be installed."""
    content = b"".join((ROOT / "scripts" / name).read_bytes() for name in SCRIPTS)
    name = hashlib.sha256(content + sys.version.encode()).hexdigest()[:16]
    folder = user_cache.folder() / f"triton-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        done = folder / "complete"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            command = [ROOT / "scripts" / SCRIPTS[0], folder]
            variables = _variables() | {"PYTHON": sys.executable}
            made = subprocess.run(command, capture_output=True, text=True, env=variables)
            if made.returncode == UNAVAILABLE:
                pytest.skip(f"Triton cannot be installed: {made.stderr.strip()[-400:]}")
            assert made.returncode == 0, made.stderr[-6000:]
            done.touch()
    return folder


def packages(folder: Path) -> Path:
    """Return the folder of the packages of an environment."""
    variables = {"base": str(folder), "platbase": str(folder)}
    return Path(sysconfig.get_path("purelib", "venv", variables))


def make_models_environment(folder: Path, *before: Path) -> Path:
    """Make an environment whose Python has the server's packages and, after them, those of here.

    before: folders of packages that come before the server's. Returns its server.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    here = sysconfig.get_path("purelib")
    paths = [*before, packages(environment()), ROOT, here]
    (packages(folder) / "paths.pth").write_text("".join(f"{path}\n" for path in paths))
    server = folder / "bin" / "tritonserver"
    shutil.copy(ROOT / "scripts" / "tritonserver.sh", server)
    return server


@contextmanager
def serving_triton(server: Path, repository: Path) -> Iterator[tuple[str, Path]]:
    """Serve a repository at free ports; yield the address of gRPC and the log.

    Raises RuntimeError with the log if the server ends.
    """
    http, grpc = _free_ports(2)
    command = [
        *(server, f"--model-repository={repository}", "--allow-metrics=false"),
        *("--http-address=127.0.0.1", f"--http-port={http}"),
        *("--grpc-address=127.0.0.1", f"--grpc-port={grpc}"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=_variables()
            )
        try:
            _wait(process, f"http://127.0.0.1:{http}", log)
            yield f"127.0.0.1:{grpc}", log
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise RuntimeError(f"Triton ended: {log.read_text()}")
        try:
            if httpx.get(f"{url}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"Triton is not ready after two minutes: {log.read_text()}")


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run_client(script: Path, *arguments: object) -> str:
    """Run a script with NVIDIA's client, which must succeed; return what it prints."""
    command = [environment() / "bin" / "python", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=_variables(), timeout=300)
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stdout
