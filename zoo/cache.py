"""The folder of what can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import ConfigError

NAME = "generator-zoo"


def folder() -> Path:
    """`generator-zoo` in the user's cache folder, `$XDG_CACHE_HOME` or `~/.cache`.

    Raises `ConfigError` where the user has no home folder either.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is to be ignored, says the XDG Base Directory Specification.
    if os.path.isabs(named):
        return Path(named) / NAME
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise ConfigError("there is no cache folder: set XDG_CACHE_HOME or HOME to a folder")
    return Path(home) / ".cache" / NAME


__all__ = ["folder"]
