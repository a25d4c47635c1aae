"""The index of a data set: a line of JSON for each shard."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from zoo.errors import OutputError
from zoo.generation.plan import Plan
from zoo.images.reading import sha256


def path_of_part(folder: Path, part: tuple[int, int]) -> Path:
    """Return the index that a part of a run writes: machines never write to the same file."""
    index, of = part
    return folder / ("index.jsonl" if of == 1 else f"index-{index:05}-of-{of:05}.jsonl")


def read(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the entries of all indices in a folder by shard, of several the last one.

    A line that is not whole, as a killed process leaves it, is skipped. Raises OutputError.
    """
    entries: dict[int, dict[str, Any]] = {}
    try:
        for path in sorted(folder.glob("index*.jsonl")):
            for line in path.read_text("utf-8", errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                    entries[int(entry["shard"])] = entry
                except (ValueError, TypeError, KeyError):
                    continue
    except OSError as error:
        raise OutputError(f"cannot read {folder}: {error.strerror}") from error
    return entries


def append(path: Path, entry: dict[str, Any]) -> None:
    """Add an entry to an index. Raises OutputError."""
    line = json.dumps(entry).encode() + b"\n"
    try:
        with path.open("ab") as file:
            # After a line that is not whole.
            if file.tell() and not _ends_with_newline(path):
                line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def digest(path: Path) -> tuple[str, int]:
    """Return the SHA-256 and the size of a file, or of all files of a folder by name."""
    if path.is_dir():
        names = sorted(entry.name for entry in os.scandir(path) if entry.is_file())
        parts = [(name, *digest(path / name)) for name in names]
        text = "".join(f"{name} {content}\n" for name, content, _ in parts)
        return hashlib.sha256(text.encode()).hexdigest(), sum(size for _, _, size in parts)
    return sha256(path), path.stat().st_size


def differences(plan: Plan, shard: int, entry: dict[str, Any]) -> list[str]:
    """Return the names of what was different when a shard was made."""
    return [name for name, value in plan.entry(shard).items() if entry.get(name) != value]


def check(plan: Plan, folder: Path, shard: int, entries: dict[int, dict[str, Any]]) -> str:
    """Return "" if a shard is there as planned, else what is wrong with it."""
    entry, path = entries.get(shard), folder / plan.name(shard)
    if entry is None:
        return "is not in the index"
    if differences(plan, shard, entry):
        return "was made by another run"
    if not path.exists():
        return "is missing"
    try:
        found = digest(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "" if found == (entry.get("sha256"), entry.get("bytes")) else "is damaged"
