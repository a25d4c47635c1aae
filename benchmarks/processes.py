"""Contenders in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Process:
    """Handle of a contender's process.

    It runs `serve(key, arguments, pipe)`, which answers each order (task, batch, argument) with
    (True, result) or (False, error) and ends at the order None. `kind` is the contender's class,
    `patience` the time limit of an answer in seconds.
    """

    def __init__(
        self,
        key: str,
        kind: Any,
        arguments: Any,
        serve: Callable[[str, Any, Connection], None],
        patience: float = 600,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.key, self.kind, self.patience = key, kind, patience
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(key, arguments, theirs), daemon=True)
        self.process.start()
        # Otherwise `ask` would keep waiting for a process that has died.
        theirs.close()

    def ask(self, task: str, batch: int, argument: Any = None) -> Any:
        """Send an order and return its result.

        Raises the process's exception, or RuntimeError with its text; also RuntimeError if the
        process has died, or does not answer in time, in which case it is killed.
        """
        try:
            self.pipe.send((task, batch, argument))
            if not self.pipe.poll(self.patience):
                self.process.kill()
                raise RuntimeError(f"no answer in {self.patience:.0f} s")
            done, answer = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join(10)
            raise RuntimeError(f"the process ended ({self.process.exitcode})") from error
        if not done:
            raise answer if isinstance(answer, Exception) else RuntimeError(answer)
        return answer

    def stop(self) -> None:
        """End the process."""
        try:
            self.pipe.send(None)
        except OSError:
            pass  # it has ended already
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()
