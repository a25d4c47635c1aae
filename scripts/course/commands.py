"""Commands of the zoo, run in this process."""

from __future__ import annotations

import sys
from importlib import import_module


def command(name: str, *args: object) -> None:
    """Run `python -m zoo.NAME ARGS…`."""
    print(f"zoo.{name}", *args, file=sys.stderr)
    import_module(f"zoo.{name}").main(list(map(str, args)), standalone_mode=False)
