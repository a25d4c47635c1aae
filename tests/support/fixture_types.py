"""What the fixtures of conftest.py hand out."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Run = Callable[..., str]
Alone = Callable[[str], AbstractContextManager[object]]
