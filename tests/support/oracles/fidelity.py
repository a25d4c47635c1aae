"""torch-fidelity's own functions, without the packages that it asks for and does not need here.

`scripts/setup.sh test` installs it into a folder of its own, `oracles` in the virtual environment:
on the path of the environment it would make torchmetrics import torchvision. Its modules are loaded
from there one by one; what reads data sets (`torch_fidelity.utils`) is left out.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(sys.prefix) / "oracles" / "torch_fidelity"


class _Nothing(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def load(*names: str) -> list[Any]:
    """Modules of torch-fidelity, by name; the test is skipped where it is not installed."""
    if not FOLDER.is_dir():
        pytest.skip("torch-fidelity is not in the folder that scripts/setup.sh test puts it into")
    with _package():
        return [importlib.import_module(f"torch_fidelity.{name}") for name in names]


@contextmanager
def _package() -> Iterator[None]:
    """The package for a moment, without running its __init__, which imports torchvision."""
    package = ModuleType("torch_fidelity")
    package.__path__ = [str(FOLDER)]
    sys.modules["torch_fidelity"] = package
    sys.modules["torch_fidelity.utils"] = _Nothing("torch_fidelity.utils")
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "torch_fidelity"]:
            del sys.modules[name]
