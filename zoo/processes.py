"""Processes that run a function of this package, with pipes to it.

A process of multiprocessing would run the caller's main script again (spawn), or copy locks held by
its threads (fork).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path


class PipedProcess:
    """A Python process that runs `program`, with `arguments` in sys.argv.

    `stdin` and `stdout` are pipes of bytes.
    """

    def __init__(self, program: str, *arguments: str) -> None:
        root = str(Path(__file__).resolve().parents[1])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"PYTHONPATH": path},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.stdin, self.stdout = self._process.stdin, self._process.stdout

    def send_line(self, text: str) -> None:
        """Write a line to the process. Raises BrokenPipeError if it has ended."""
        self.stdin.write(f"{text}\n".encode())
        self.stdin.flush()

    def reason(self) -> str:
        """Wait for the end of the process, and return the last line of its error output."""
        status = self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"

    def kill(self) -> None:
        """End the process at once; other threads may use it, and find that it has ended."""
        self._process.kill()

    def close(self) -> None:
        """End the process, and close the pipes."""
        self._process.kill()
        self._process.wait()
        for stream in (self.stdin, self.stdout, self._stderr):
            with suppress(BrokenPipeError):
                stream.close()
