"""Plain-text tables."""

from __future__ import annotations

from collections.abc import Sequence


def align_columns(
    rows: Sequence[Sequence[str]], right: Sequence[int] = (), least: int = 0
) -> list[str]:
    """Format the rows of a table, header included, as lines with aligned columns.

    Columns with indices in `right` are right-aligned and at least `least` letters wide.
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
