"""Execution times of the layers of an engine, as a table and a plot."""

from __future__ import annotations

import json
from dataclasses import asdict

from runtime.layers import LayerTime, LayerTimes, measure_layers
from zoo.engines import resolve
from zoo.images import atomic
from zoo.optional import require
from zoo.tables import align_columns

HEADER = ("layer", "kind", "MFLOP", "µs", "of time", "GFLOP/s", "of ceiling", "kernel")


def inspect_layers(
    file: str, backend: str, precision: str, batch: int, as_json: bool, plot: str | None
) -> str:
    """Measure the layers of an engine and return the times as a table, or as JSON.

    - file: path of an engine file, or name of a shipped engine.
    - plot: path of a .png to which the times are plotted.

    Raises the errors of zoo.engines.resolve and of runtime.measure_layers, OutputError if the plot
    cannot be written, and ConfigError if matplotlib is not installed.
    """
    if plot is not None:
        atomic.check_suffix(plot, ".png", "the plot of layers must be a .png")
        require("matplotlib.figure")
    path = resolve(file)
    times = measure_layers(path, precision, batch, backend=backend)
    title = f"{path.name}, {backend}, {precision}, batch {batch}"
    if plot is not None:
        draw_layers(times, title, plot)
    if as_json:
        return json.dumps(
            {"backend": backend, "precision": precision, "batch": batch, **asdict(times)}, indent=2
        )
    return "\n".join([title, *tabulate(times)])


def tabulate(times: LayerTimes) -> list[str]:
    """Return the lines of a table of the layers, with their total and the ceiling if known."""
    total = LayerTime(
        "all",
        "",
        "",
        sum(layer.operations for layer in times.layers),
        sum(layer.seconds for layer in times.layers),
    )
    rows = [_row(layer, times, total) for layer in (*times.layers, total)]
    lines = align_columns([HEADER, *rows], right=range(2, 7))
    if times.ceiling:
        lines.append(f"ceiling of one core, {times.isa}: {times.ceiling / 1e9:.0f} GFLOP/s")
    return lines


def _row(layer: LayerTime, times: LayerTimes, total: LayerTime) -> list[str]:
    cells = [layer.name, layer.kind, "", f"{layer.seconds * 1e6:.1f}"]
    cells.append(f"{layer.seconds / total.seconds:.1%}" if total.seconds else "")
    if layer.operations:
        cells[2] = f"{layer.operations / 1e6:.2f}"
        cells += [f"{layer.rate / 1e9:.0f}", f"{layer.rate / times.ceiling:.0%}"]
    else:
        cells += ["", ""]
    return [*cells, layer.kernel]


def draw_layers(times: LayerTimes, title: str, path: str) -> None:
    """Plot the time of each layer to a .png, coloured by its share of the ceiling.

    Raises OutputError if the plot cannot be written.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    layers = [layer for layer in times.layers if layer.seconds > 0]
    figure = Figure(figsize=(8.4, 1.4 + 0.26 * len(layers)), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    palette = colormaps["viridis"]
    shares = [min(1.0, layer.rate / times.ceiling) if layer.operations else 0.0 for layer in layers]
    colours = [
        palette(share) if layer.operations else "#c8c8c8"
        for layer, share in zip(layers, shares, strict=True)
    ]
    microseconds = [layer.seconds * 1e6 for layer in layers]
    axes.barh(range(len(layers)), microseconds, color=colours)
    axes.set_yticks(range(len(layers)), [f"{layer.name}  {layer.kind}" for layer in layers])
    for place, (layer, share) in enumerate(zip(layers, shares, strict=True)):
        note = f" {layer.rate / 1e9:.0f} GFLOP/s, {share:.0%}" if layer.operations else ""
        axes.text(microseconds[place], place, note, va="center", fontsize=7, color="#606060")
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel("µs an image")
    axes.set_title(title, loc="left", fontsize=11)
    axes.tick_params(labelsize=7, length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    if times.ceiling:
        figure.colorbar(ScalarMappable(cmap=palette), ax=axes, label="share of the ceiling")
    with atomic.replace_file(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
