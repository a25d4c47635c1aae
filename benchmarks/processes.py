"""A contender in a process of its own, which does what it is told."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


class Process:
    """The other end of a contender's process.

    It runs `serve(key, arguments, pipe)`, which answers each order (task, batch, argument) with
    (True, answer), or (False, what went wrong), and ends at the order None. `kind` is the
    contender's class, and `patience` the seconds that an answer may take.
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
        # While this end of theirs is open, a process that died would be waited for.
        theirs.close()

    def ask(self, task: str, batch: int, argument: Any = None) -> Any:
        """The answer to an order.

        Raises the exception that was sent, or RuntimeError with the text that was; RuntimeError too
        where the process has died, or does not answer in time, and is ended for it.
        """
        try:
            self.pipe.send((task, batch, argument))
            if not self.pipe.poll(self.patience):
                self.process.kill()
                raise RuntimeError(f"no answer in {self.patience:.0f} s")
            done, answer = self.pipe.recv()
        except (EOFError, OSError) as error:
            self.process.join(10)
            raise RuntimeError(f"its process ended ({self.process.exitcode})") from error
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
