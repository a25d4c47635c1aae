"""Import of optional packages."""

from __future__ import annotations

import importlib
from typing import Any

from zoo.errors import ConfigError


def require(module: str, extra: str = "apps") -> Any:
    """Import a module by its dotted name.

    Raises ConfigError with the command that installs it; `extra` is the group of generator-zoo's
    optional dependencies that contains it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ConfigError(f"this needs {package}: pip install 'generator-zoo[{extra}]'") from error
