"""Pictures of the CPU benchmark: ratios over the fastest peers, and a roofline plot."""

from __future__ import annotations

from pathlib import Path

from benchmarks.cpu_results import Report, fastest, rate

PRECISIONS = ("fp32", "bf16")
BATCH_COLOURS = ("#1b4965", "#5fa8d3", "#f2a65a", "#a23b72", "#7a7a7a")
ROLE_COLOURS = {
    "generator": "#d1495b",
    "translator": "#2e6f95",
    "encoder": "#5b8e55",
    "classifier": "#e0a030",
}
DPI = 110


def draw_ratios(report: Report, path: Path) -> bool:
    """Draw images/s of ours over the fastest peer, a row for each model and a bar for each batch.

    The precisions stand beside each other, each compared with peers of its own. Returns False, and
    writes nothing, where nothing can be compared.
    """
    rows = report["rows"]
    ratios = {}
    for row in rows:
        ours, peer = fastest(rows, row, ours=True), fastest(rows, row)
        if ours is not None and peer is not None:
            ratios[row["precision"], row["model"], row["batch"]] = rate(ours) / rate(peer)
    if not ratios:
        return False
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(model for _, model, _ in ratios))
    batches = sorted({batch for _, _, batch in ratios})
    height = 0.8 / len(batches)
    figure = Figure(figsize=(10, 1.4 + 0.16 * len(models) * (len(batches) + 0.6)), dpi=DPI)
    figure.set_layout_engine("constrained")
    panels = figure.subplots(1, len(PRECISIONS), sharex=True, sharey=True, squeeze=False)[0]
    for axes, precision in zip(panels, PRECISIONS, strict=True):
        for place, batch in enumerate(batches):
            heights = {
                index + (place - (len(batches) - 1) / 2) * height: ratios[precision, model, batch]
                for index, model in enumerate(models)
                if (precision, model, batch) in ratios
            }
            colour = BATCH_COLOURS[place % len(BATCH_COLOURS)]
            axes.barh(
                list(heights), list(heights.values()), height, color=colour, label=f"batch {batch}"
            )
            for y, ratio in heights.items():
                axes.text(
                    max(ratio, 1), y, f" {ratio:.2f}", va="center", fontsize=8, color="#404040"
                )
        axes.axvline(1, color="black", linewidth=1)
        axes.set_title(precision, loc="left", fontsize=11)
        axes.set_xlabel("images/s over those of the fastest peer")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(models)), models)
    panels[0].set_ylim(len(models) - 0.5, -0.5)
    panels[0].set_xlim(0, 1.15 * max(1.0, *ratios.values()))
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(batches), frameon=False)
    host = report["machine"]
    figure.suptitle(f"{host['cpu']}, {host['cores']} cores", x=0.01, ha="left", fontsize=11)
    figure.savefig(path, metadata={"Software": None})
    return True


def draw_roofline(report: Report, path: Path) -> bool:
    """Draw the rate of every layer of products over its arithmetic intensity, with the limits.

    Returns False, and writes nothing, where no layer was measured.
    """
    roles = {row["model"]: row["role"] for row in report["rows"]}
    measured = [entry for entry in report["limits"] if entry.get("layers")]
    if not measured:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(PRECISIONS), sharex=True, sharey=True, squeeze=False)[0]
    points = [
        (layer["operations"] / layer["bytes"], layer["operations"] / layer["seconds"] / 1e9)
        for entry in measured
        for layer in entry["layers"]
    ]
    least, most = min(x for x, _ in points) / 2, max(x for x, _ in points) * 2
    for axes, precision in zip(panels, PRECISIONS, strict=True):
        entries = [entry for entry in measured if entry["precision"] == precision]
        for role, colour in ROLE_COLOURS.items():
            layers = [
                layer
                for entry in entries
                if roles.get(entry["model"], "generator") == role
                for layer in entry["layers"]
            ]
            axes.scatter(
                [layer["operations"] / layer["bytes"] for layer in layers],
                [layer["operations"] / layer["seconds"] / 1e9 for layer in layers],
                # Larger where more of the time goes.
                s=[min(120.0, 8 + 1e6 * layer["seconds"]) for layer in layers],
                color=colour,
                alpha=0.6,
                linewidth=0,
                label=f"layers of {role}s",
            )
        if entries:
            _draw_limits(axes, entries, least, most)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(least, most)
        axes.set_title(precision, loc="left", fontsize=11)
        axes.set_xlabel("operations per byte (weights, input and output)")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(bottom=min(y for _, y in points) / 2)
    panels[0].set_ylabel("GFLOP/s of one core")
    legend = panels[0].legend(frameon=False, fontsize=8, loc="lower right")
    for handle in legend.legend_handles[: len(ROLE_COLOURS)]:
        handle.set_sizes([30])  # type: ignore[union-attr]
    figure.suptitle(
        f"{report['machine']['cpu']}, batch {measured[0]['batch']}; operations as the graph counts "
        "them: minimal filtering does with fewer, and gets above the ceiling",
        x=0.01,
        ha="left",
        fontsize=9,
    )
    figure.savefig(path, metadata={"Software": None})
    return True


def _draw_limits(axes, entries, least: float, most: float) -> None:  # type: ignore[no-untyped-def]
    """Draw the medians of the ceilings and bandwidths that were measured with the layers."""
    from statistics import median

    ceiling = median(entry["operations_per_second"] for entry in entries) / 1e9
    axes.axhline(ceiling, color="black", linewidth=1)
    axes.text(least * 1.1, ceiling * 1.06, f"{ceiling:,.0f} GFLOP/s", fontsize=8)
    for name, dashes in (("cache", "--"), ("memory", ":")):
        bandwidth = median(entry[f"{name}_bytes_per_second"] for entry in entries) / 1e9
        end = min(most, ceiling / bandwidth)
        label = f"copy in {name}, {bandwidth:,.0f} GB/s"
        axes.plot(
            [least, end], [least * bandwidth, end * bandwidth], "k" + dashes, lw=1, label=label
        )
