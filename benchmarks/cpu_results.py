"""Results of the CPU benchmark: a JSON file for each kind of CPU."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from benchmarks import machine
from zoo.tables import align_columns

RESULTS = Path(__file__).parent / "results"

Row = dict[str, Any]
Report = dict[str, Any]


def default_path() -> Path:
    """Return the file of this machine's kind of CPU."""
    return RESULTS / f"cpu-{machine.kind()}.json"


def open_report(out: Path, resume: bool) -> Report:
    """Return an empty report, or with `resume` the one in the file, if it exists.

    Raises ClickException if that was measured on another CPU.
    """
    report: Report = {"command": "", "time": "", "machine": machine.describe()}
    report |= {"rows": [], "limits": []}
    if not (resume and out.exists()):
        return report
    earlier: Report = json.loads(out.read_text("utf-8"))
    for name in ("cpu", "cores"):
        here, there = report["machine"][name], earlier["machine"].get(name)
        if here != there:
            raise click.ClickException(f"{out}: {name} is {there}, on this machine {here}")
    kept = {name: earlier[name] for name in ("command", "rows", "limits")}
    return {**report, **kept}


def write_report(out: Path, report: Report) -> None:
    """Write the report, whole or not at all."""
    out.parent.mkdir(parents=True, exist_ok=True)
    report["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    part = out.with_name(f"{out.name}.part")
    part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    part.replace(out)


def is_done(report: Report, model: str, batch: int, keys: list[str]) -> bool:
    """Return True if the report has a row of each contender.

    If one is missing all take part again: a ratio is of rows that were measured in turns.
    """
    rows = [row for row in report["rows"] if (row["model"], row["batch"]) == (model, batch)]
    return set(keys) <= {row["key"] for row in rows}


def replace_rows(report: Report, model: str, batch: int, rows: list[Row]) -> None:
    """Put the rows of a model and batch size in place of those that the report has."""
    others = [row for row in report["rows"] if (row["model"], row["batch"]) != (model, batch)]
    report["rows"] = others + rows


def rate(row: Row) -> float:
    """Return images/s; 0 for a contender that was refused or failed."""
    return float(row.get("images_per_second", 0.0))


def fastest(rows: list[Row], of: Row, ours: bool = False) -> Row | None:
    """Return the fastest peer (or ours) with the model, precision and batch size of a row."""
    same = ("model", "precision", "batch")
    matching = [
        row for row in rows if row["ours"] is ours and all(row[key] == of[key] for key in same)
    ]
    return max((row for row in matching if rate(row)), key=rate, default=None)


def table(rows: list[Row], model: str) -> str:
    """Format a model's rows: images/s, also over the fastest peer's in that precision; times."""
    rows = [row for row in rows if row["model"] == model]
    header = "contender,batch,images/s,x fastest,x eager,p50 ms,p95 ms,p99 ms,MiB,agreement"
    lines = [header.split(",")]
    for row in sorted(rows, key=lambda row: (row["batch"], row["precision"] != "fp32")):
        name = f"{row['contender']} {row['precision']}"
        if "images_per_second" not in row:
            lines.append([name, str(row["batch"]), *[""] * 7, row["error"]])
            continue
        eager = [r for r in rows if r["batch"] == row["batch"] and r["key"] == "torch"]
        ratios = [
            f"{rate(row) / rate(peer):.2f}" if peer and rate(peer) else ""
            for peer in (fastest(rows, row), *(eager or [None]))
        ]
        times = [f"{row['ms_per_batch'][name]:.2f}" for name in ("p50", "p95", "p99")]
        agreement = (
            f"{row['psnr_db']:.1f} dB" if "psnr_db" in row else f"{row['relative_error']:.1g}"
        )
        lines.append(
            [name, str(row["batch"]), f"{rate(row):,.0f}", *ratios, *times, str(row["memory_mib"])]
            + [agreement]
        )
    return "\n".join(align_columns(lines, right=range(1, 9)))
