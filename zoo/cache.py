"""Cache folder for files that can be computed or downloaded again."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.errors import ConfigError

NAME = "generator-zoo"


def folder() -> Path:
    """Return `generator-zoo` in the user's cache folder, `$XDG_CACHE_HOME` or `~/.cache`.

    Raises `ConfigError` if there is no home folder either.
    """
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG Base Directory Specification says that relative paths are ignored.
    if os.path.isabs(root):
        return Path(root) / NAME
    home = os.path.expanduser("~")
    if not os.path.isabs(home):
        raise ConfigError("no cache folder: set XDG_CACHE_HOME or HOME to an absolute path")
    return Path(home) / ".cache" / NAME
