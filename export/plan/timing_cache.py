"""Timing caches: measurements of TensorRT on this GPU, kept between builds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from export.plan.targets import TensorRT
from zoo import cache
from zoo.errors import ConfigError, OutputError
from zoo.images.atomic import replace_file


def default_path(tensorrt: TensorRT) -> Path | None:
    """Return the file for this version in the user's cache folder; None without a folder."""
    try:
        return cache.folder() / f"{tensorrt.target}-{tensorrt.version}.timing"
    except ConfigError:
        return None


def is_supported(tensorrt: TensorRT, config: Any) -> bool:
    """Return True if there is a timing cache; in TensorRT-RTX its functions do nothing."""
    return not tensorrt.portable and hasattr(config, "create_timing_cache")


def load(config: Any, path: Path, warn: Callable[[str], None]) -> None:
    """Load a file into the builder, or nothing if it is missing, damaged, or of another GPU."""
    data = path.read_bytes() if path.is_file() else b""
    for content in dict.fromkeys((data, b"")):
        try:
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, False):
                return
        except (RuntimeError, TypeError, ValueError):
            pass
        if content:
            warn(f"{path} is not a timing cache of this TensorRT and GPU: a new one replaces it")


def save(config: Any, path: Path, warn: Callable[[str], None]) -> None:
    """Save the cache; if that fails, warn instead of losing the plan."""
    cache = config.get_timing_cache()
    if cache is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary, memoryview(cache.serialize()) as data:
            temporary.write_bytes(data)
    except (OSError, OutputError) as error:
        warn(f"the timing cache was not saved: {error}")
