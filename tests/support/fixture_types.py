"""Types of the fixtures of conftest.py."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

Run = Callable[..., str]
Once = Callable[[str, Callable[[Path], object]], Path]
Alone = Callable[[str], AbstractContextManager[object]]
