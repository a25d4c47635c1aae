"""A zoo of image generators. Importing it is cheap and never imports PyTorch.

`zoo.engine_path("vae.onnx")` returns the path of an engine file by name, and
`zoo.__version__` is the version of the installed package.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    __version__: str

if sys.argv[:1] == ["-m"]:
    # Python is looking up a command, `python -m zoo.NAME` or `python -m export`. Until the
    # command handles signals (zoo.cli), Ctrl-C should end it without a traceback of the imports.
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def engine_path(name: str) -> Path:
    """Return the path of an engine: an existing file, else the shipped engine of that name.

    Raises runtime.errors.EngineNotFoundError, listing the shipped engines.
    """
    from zoo.engines import resolve

    return resolve(name)


def __getattr__(name: str) -> str:
    if name == "__version__":
        # Reading the installed metadata takes 10 ms, which no command should pay at start-up.
        from importlib.metadata import version

        return version("generator-zoo")
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


__all__ = ["__version__", "engine_path"]
