"""Tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = (), least: int = 0) -> list[str]:
    """Lines of a table, its head first.

    The columns of the indices `right` end at one place, and are `least` letters wide.
    """
    widths = [
        max([least * (index in right), *map(len, column)])
        for index, column in enumerate(zip(*rows, strict=True))
    ]
    return [
        "  ".join(
            f"{cell:>{width}}" if column in right else f"{cell:<{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


__all__ = ["aligned"]
