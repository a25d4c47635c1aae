"""Metrics of a run, as JSON lines and for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from zoo.errors import OutputError
from zoo.images.atomic import replace_file


class MetricsWriter:
    """Appends one line per epoch to `metrics.jsonl` and the same numbers to `tensorboard/`.

    When a run resumes after `epoch` epochs, lines of later epochs are removed.
    """

    def __init__(self, folder: Path, epoch: int = 0) -> None:
        self.path = folder / "metrics.jsonl"
        kept = [entry for entry in read_metrics(self.path) if entry["epoch"] <= epoch]
        with replace_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        try:
            self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=epoch + 1)
        except OSError as error:
            raise OutputError(f"cannot write {folder / 'tensorboard'}: {error}") from error

    def write(
        self, epoch: int, values: dict[str, Any], sheet: np.ndarray, notes: Sequence[str] = ()
    ) -> None:
        """Add the numbers of an epoch (from 1), its picture (uint8 [H, W] or [H, W, 3]) and notes.

        The line has an entry `notes` only if there are any.
        """
        line = {"epoch": epoch, **values} | ({"notes": list(notes)} if notes else {})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        for note in notes:
            self.board.add_text("notes", note, epoch)
        for name, value in values.items():
            self.board.add_scalar(name, value, epoch)
        layout = "HW" if sheet.ndim == 2 else "HWC"
        self.board.add_image("picture", sheet, epoch, dataformats=layout)
        self.board.flush()

    def close(self) -> None:
        self.board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a `metrics.jsonl`; returns an empty list if it does not exist.

    A truncated last line, left by a crash, is ignored.
    """
    if not path.is_file():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries
