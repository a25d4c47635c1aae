"""Tables and a plot of a GPU measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.gpu_bars import EAGER, rate


def table(rows: list[dict[str, Any]]) -> str:
    """Return a line for each measured case, under a heading for each model."""
    lines = []
    for model in dict.fromkeys(row["model"] for row in rows):
        lines.append(
            f"{model:36} {'batch':>5} {'images/s':>11} {'on device':>11} {'x eager':>8}"
            f" {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'MiB':>6} {'PSNR dB':>8}  limited by"
        )
        for batch in dict.fromkeys(row["batch"] for row in rows if row["model"] == model):
            done = [
                row for row in rows if row["model"] == model and row["batch"] == batch and rate(row)
            ]
            eager = next((rate(row) for row in done if row["key"] == EAGER), None)
            lines += [_line(row, eager) for row in sorted(done, key=lambda row: row["ours"])]
        lines.append("")
    return "\n".join(lines)


def _line(row: dict[str, Any], eager: float | None) -> str:
    value = rate(row) or 0.0
    ms = row.get("latency_ms") or {}
    limits = row.get("limits") or {}
    limit = "-"
    if limits.get("limited_by"):
        limit = f"{limits['limited_by']} ({limits['share']:.0%})"
    peak = row.get("peak_device_bytes")
    return (
        f"{row['contender'] + ' ' + row['precision']:36} {row['batch']:5} {value:11,.0f}"
        f" {_number(rate(row, 'device'), '11,.0f')} {_number(value / eager if eager else None)}"
        f" {_number(ms.get('p50'), '8.3f')} {_number(ms.get('p95'), '8.3f')}"
        f" {_number(ms.get('p99'), '8.3f')}"
        f" {_number(peak / 2**20 if peak is not None else None, '6,.0f')}"
        f" {row['check']['psnr_db']:8.1f}  {limit}"
    )


def _number(value: float | None, form: str = "8.2f") -> str:
    width = int(form.split(".")[0].rstrip(","))
    return f"{'-':>{width}}" if value is None else f"{value:{form}}"


def absent(rows: list[dict[str, Any]]) -> str:
    """List the contenders without a result for a model and batch, grouped by their reason."""
    seen: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if row["status"] != "ok":
            key = f"{row['contender']} {row['precision']}", row["status"], row["reason"]
            seen.setdefault(key, []).append(f"{row['model']} {row['batch']}")
        for where in ("numpy", "device"):
            reason = (row.get(where) or {}).get("missing")
            if reason:
                key = f"{row['contender']} {row['precision']}", f"no {where} results", reason
                seen.setdefault(key, []).append(f"{row['model']} {row['batch']}")
    return "\n".join(
        f"{name}: {status}: {reason.strip().splitlines()[-1]} [{', '.join(cases)}]"
        for (name, status, reason), cases in seen.items()
    )


def ceilings(limits: dict[str, Any]) -> str:
    """Return the limits of the GPU, one per line."""
    lines = []
    for precision, value in limits.get("products", {}).items():
        lines.append(f"matrix product {limits['side']}³ {precision}: {value / 1e12:,.1f} TFLOP/s")
    for key, what in (("copy_device", "copy in the device"), ("copy_down", "copy to the host")):
        if limits.get(key):
            lines.append(f"{what}: {limits[key] / 1e9:,.1f} GB/s")
    for key in ("launch", "graph_launch", "graph_kernel"):
        if limits.get(key):
            lines.append(f"{key.replace('_', ' ')}: {limits[key] * 1e6:.2f} µs")
    lines += [f"{name}: not measured: {why}" for name, why in limits.get("missing", {}).items()]
    return "\n".join(lines)


def bars(targets: list[dict[str, Any]]) -> str:
    """Return a line for each target, and a count of the results."""
    lines = []
    for bar in targets:
        value = "-" if bar["value"] is None else f"{bar['value']:,.2f}"
        who = f" ({bar['ours']['key']}, batch {bar['ours']['batch']})" if bar["ours"] else ""
        lines.append(
            f"{bar['result'].upper():12} {bar['bar']}: {value}, at least {bar['at_least']:,g}{who}"
        )
    counts = [
        f"{sum(bar['result'] == result for bar in targets)} {result}"
        for result in ("pass", "fail", "not measured")
    ]
    return "\n".join([*lines, f"bars: {', '.join(counts)}"])


STYLES = {"fp32": "-", "tf32": "-.", "fp16": "--", "bf16": ":"}
"""Line styles of the precisions; others are widely dotted."""


def plot(rows: list[dict[str, Any]], title: str, path: Path) -> bool:
    """Plot images/s over the batch size into a PNG, with a panel for each model.

    The colour shows the contender (red: ours), the line style the precision. Returns False, and
    writes nothing, if there are no results.
    """
    done = [row for row in rows if rate(row)]
    if not done:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    models = list(dict.fromkeys(row["model"] for row in done))
    colours = _colours(done)
    figure, panels = pyplot.subplots(
        len(models), 1, figsize=(10, 4.2 * len(models)), layout="constrained", squeeze=False
    )
    for axes, model in zip(panels[:, 0], models, strict=True):
        here = [row for row in done if row["model"] == model]
        for key in dict.fromkeys(row["key"] for row in here):
            mine = [row for row in here if row["key"] == key]
            name, precision = mine[0]["contender"], mine[0]["precision"]
            axes.plot(
                [row["batch"] for row in mine],
                [rate(row) for row in mine],
                label=f"{name} {precision}",
                color=colours[name],
                linestyle=STYLES.get(precision, (0, (1, 4))),
                marker="o",
                markersize=4,
            )
        batches = list(dict.fromkeys(row["batch"] for row in here))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(batches, [str(batch) for batch in batches])
        axes.minorticks_off()
        axes.set_xlabel("batch")
        axes.set_ylabel("images/s")
        axes.set_title(f"{model}, {title}: noise, uint8 and the copy to the host included")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=130)
    pyplot.close(figure)
    return True


def _colours(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a colour for each contender: reds for ours, greys and blues for the peers."""
    palettes = {
        True: ("#d1495b", "#8c1c2f", "#f28f3b"),
        False: ("#9a9a9a", "#3d3d3d", "#5b8db8"),
    }
    colours: dict[str, Any] = {}
    for ours, palette in palettes.items():
        names = dict.fromkeys(row["contender"] for row in rows if row["ours"] is ours)
        colours |= {name: palette[place % len(palette)] for place, name in enumerate(names)}
    return colours
