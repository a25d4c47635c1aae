"""Style-based networks in the native backend, against float64 NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from native_cases import Case, cases, number
from native_engines import generator, mapping
from native_graphs import ROWS, Network, Value
from native_runs import check, pairs
from native_styles import blurred, layer_noise, learned, mapped, sampled, style_layer, truncated

CHANNELS = (1, 5, 16, 17, 33)


def synthesis(graph: Network, styles: Value, case: Case, shared: bool = False) -> Value:
    """Three layers: the learned map, a convolution, an upsampled and maybe blurred map."""
    slope, pixels = case["slope"], case["height"] * case["width"]
    noise = layer_noise(graph, [pixels, pixels, 4 * pixels], 1.0, shared)
    x = learned(graph, case["channels"], case["height"], case["width"], ROWS)
    x = style_layer(graph, x, styles, 0, slope, noise[0])
    x = graph.convolve(x, case["outputs"], 3, padding=1)
    x = style_layer(graph, x, styles, 1, slope, noise[1])
    if case["blur"]:
        x = graph.transpose_convolve(x, case["outputs"], 4, 2, 1, bias=False)
        x = blurred(graph, x, case["blur"] == "bias")
    else:
        x = graph.transpose_convolve(x, case["outputs"], 4, 2, 1)
    x = style_layer(graph, x, styles, 2, slope, noise[2])
    return graph.clip(graph.convolve(x, 3, 1), 0.0, 1.0)


OPTIONS: dict[str, Any] = {
    "height": (1, 2, 3, 4, 7, 8),
    "width": (2, 3, 5, 8),
    "channels": CHANNELS,
    "outputs": CHANNELS,
    "slope": (0.0, 0.2),
    "blur": ("", "bias", "plain"),
    "style": (1, 6, 17, 32),
}


@cases(*pairs(1, 12, **OPTIONS, psi=(0.0, 0.7, 1.0, 1.5)))
def test_generators_with_styles(case: Case, tmp_path: Path) -> None:
    """Mapping, truncation and synthesis in one; the noise of the layers is drawn."""
    graph = Network(number(case))
    w = mapped(graph, sampled(graph, case["style"]), case["style"], 2)
    styles, mean = truncated(graph, w, case["psi"], 3)
    truncation = {"mean": mean, "layers": 3, "width": case["style"]}
    options = {"truncation": case["psi"]}
    image = synthesis(graph, styles, case)
    path = tmp_path / "small.onnx"
    check(generator(graph, path, image, truncation=truncation, options=options))


@cases(*pairs(2, 12, **OPTIONS))
def test_synthesis_of_a_style_for_each_layer(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case))
    styles = graph.latents(case["style"], "latent", 3)
    image = synthesis(graph, graph.reshape(styles, 3, case["style"]), case)
    check(generator(graph, tmp_path / "small.onnx", image))


@cases(*pairs(4, 8, **OPTIONS | {"height": (3, 4, 8), "width": (4, 5, 8)}))
def test_layers_that_share_their_noise(case: Case, tmp_path: Path) -> None:
    """One stream, of which each layer takes its part."""
    graph = Network(number(case))
    styles = graph.latents(case["style"], "latent", 3)
    image = synthesis(graph, graph.reshape(styles, 3, case["style"]), case, shared=True)
    check(generator(graph, tmp_path / "small.onnx", image))


@cases(*pairs(3, 10, latent=(1, 6, 17, 32), style=(1, 16, 31, 48), depth=(1, 3)))
def test_mapping_of_latents(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case))
    w = mapped(graph, graph.latents(case["latent"], "latent"), case["style"], case["depth"])
    check(mapping(graph, tmp_path / "small.onnx", w))
