"""Translators: images to images, optionally with attributes or layer noise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.checkpoint import Checkpoint
from export.checks import Check, compare_close
from export.errors import ExportError
from export.inputs import Inputs
from export.manifest import INPUTS_SCHEMA, layer_streams, noise_fields
from export.modules import ROWS as BATCH_AXIS
from export.modules import (
    Example,
    Graph,
    ImageGraph,
    example_key,
    image_from_mean,
    noise_source,
    noise_widths,
    to_unit_range,
)
from export.options import Options
from export.parity import (
    FIRST,
    FOLDING_LIMIT,
    ROWS,
    SEED,
    CheckedFile,
    GraphCheck,
    check_graph,
    check_layers,
    compare_images,
    levels,
    mixed_images,
)
from export.plan import calibration_set, probes
from export.plan.calibration_set import Calibration
from export.plan.probes import Probe
from export.roles.role import Role, Runner, run_images
from export.statistics import LatentStatistics
from zoo.data import DataSet
from zoo.errors import ZooError
from zoo.models.folding import to_inference

Images = NDArray[np.uint8]


class TranslatorGraph(ImageGraph):
    """input uint8 [N,H,W,C'] -> image uint8 [N,H,W,C]."""

    inputs: tuple[str, ...] = ("input",)
    outputs = ("image",)

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__((*shape[:2], model.config.input_channels))
        self.model = model

    def forward(self, input: Tensor) -> Tensor:
        return image_from_mean(self.model.translate(to_unit_range(input)), "uint8", bounded=True)


class DomainsGraph(TranslatorGraph):
    """(input uint8 [N,H,W,C'], attributes [N,K]) -> image uint8 [N,H,W,C]."""

    inputs = ("input", "attributes")

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(model, shape)
        self.count = len(domains(model))

    def forward(self, input: Tensor, attributes: Tensor) -> Tensor:  # type: ignore[override]
        images = self.model.translate(to_unit_range(input), attributes)
        return image_from_mean(images, "uint8", bounded=True)

    def example(self) -> Example:
        arguments, axes = super().example()
        return (*arguments, torch.zeros(2, self.count)), (*axes, BATCH_AXIS)


class NoisyTranslatorGraph(TranslatorGraph):
    """(input uint8 [N,H,W,C'], seed [K], first [K]) -> image uint8 [N,H,W,C]."""

    inputs = ("input", "seed", "first")

    def forward(  # type: ignore[override]
        self, input: Tensor, seed: Tensor, first: Tensor
    ) -> Tensor:
        """Return the translated images; row r has the noise of sample `first + r` of `seed`."""
        images = self.model.translate(to_unit_range(input), noise_source(input, seed, first))
        return image_from_mean(images, "uint8", bounded=True)

    def example(self) -> Example:
        arguments, axes = super().example()
        return (*arguments, *example_key()), (*axes, {}, {})


def domains(model: Any) -> tuple[str, ...]:
    """Return the names of the attributes that a translator takes."""
    return tuple(getattr(model, "domains", ()) or getattr(model.config, "domains", ()))


def build_graph(checkpoint: Checkpoint, options: Options) -> Graph:
    model: Any = checkpoint.model
    if domains(model) and noise_widths(model):
        raise ExportError("a translator with both attributes and noise is not supported")
    graph = TranslatorGraph
    if domains(model):
        graph = DomainsGraph
    elif noise_widths(model):
        graph = NoisyTranslatorGraph
    return graph(model, checkpoint.shape)


def manifest_fields(checkpoint: Checkpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """Return the task and the inputs."""
    model: Any = checkpoint.model
    options = model.config
    document: dict[str, Any] = {
        "task": getattr(model, "task", None) or options.task,
        "corruption": list(getattr(options, "corruption", ())),
        "input": {
            "height": options.image_size,
            "width": options.image_size,
            "channels": options.input_channels,
            "dtype": "uint8",
            "layout": "NHWC",
            "alpha": bool(getattr(options, "alpha", False)),
        },
    }
    if names := domains(model):
        condition = {"kind": "attributes", "names": list(names)}
        document |= {"schema": INPUTS_SCHEMA, "condition": condition}
    if streams := layer_streams(model):
        document |= {"schema": INPUTS_SCHEMA} | noise_fields({"layers": streams})
    return document


def check(file: CheckedFile) -> list[Check]:
    """Check the file on noise and flat patches, with random attributes if it takes any."""
    network: Any = file.checkpoint.model
    options = network.config
    inputs = mixed_images((options.image_size, options.image_size, options.input_channels))
    if getattr(options, "alpha", False):
        inputs[..., -1] = np.where(inputs[..., -1] < 64, 0, 255)
    more: dict[str, NDArray[Any]] = {}
    if names := domains(network):
        attributes = np.random.default_rng(4).integers(0, 2, (ROWS, len(names)))
        more["attributes"] = attributes.astype(np.float32)
    results = _check_folding(file.name, file.checkpoint, inputs, more)
    widths = noise_widths(network)
    if widths:
        results += check_layers(file, widths, {"input": inputs})
    expected = levels(_translate(network, to_unit_range(torch.from_numpy(inputs)), more))
    graph = GraphCheck("input", "image", compare_images, RUNNER.engine_class, "translate")
    return results + check_graph(file, graph, inputs, expected, more, seeded=bool(widths))


@torch.no_grad()
def _translate(network: Any, images: Tensor, more: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Translate images [N, C', S, S] in PyTorch, with the noise of the samples from FIRST on."""
    arguments: tuple[Any, ...] = ()
    if more:
        arguments = (torch.from_numpy(more["attributes"]).to(images),)
    elif noise_widths(network):
        noise = Inputs(SEED, FIRST).noise_source(len(images), 1.0)
        arguments = (lambda *layer: noise(*layer).to(images),)
    return network.translate(images, *arguments).numpy()


def _check_folding(
    engine: str, checkpoint: Checkpoint, inputs: Images, more: dict[str, NDArray[Any]]
) -> list[Check]:
    if checkpoint.trained is None:
        return []
    trained = copy.deepcopy(checkpoint.trained).double()
    images = to_unit_range(torch.from_numpy(inputs[:8])).double()
    more = {name: value[:8] for name, value in more.items()}
    expected = _translate(trained, images, more)
    got = _translate(to_inference(trained), images, more)
    limit = FOLDING_LIMIT
    return [compare_close(engine, "image: folding, float64", got, expected, limit, limit)]


def run(translator: Any, n: int, batch: int) -> None:
    """Translate n images, with all attributes 0."""
    call = translator.translate
    if translator.attributes:
        call = partial(call, attributes=np.zeros(len(translator.attributes)))
    run_images(call, translator.input_shape, n, batch)


def list_probes(translator: Any, data: DataSet | None) -> list[Probe]:
    """Compare translated images, each with one attribute."""
    pool = _input_pool(translator, data)
    attributes = np.eye(len(translator.attributes), dtype=np.float32)

    def translate(engine: Any, start: int, stop: int) -> NDArray[Any]:
        key: dict[str, Any] = {"seed": probes.SEED, "first": probes.FIRST + start}
        if len(attributes):
            key["attributes"] = probes.take_rows(attributes, start, stop)
        return engine.translate(probes.take_rows(pool, start, stop), **key)

    return [Probe("images", translate)]


def _input_pool(translator: Any, data: DataSet | None) -> NDArray[Any]:
    """Return held-out images, corrupted or converted for the translator's task if possible."""
    if data is not None:
        from zoo.evaluation.cases import list_cases

        try:
            cases = list_cases(translator, data)
            each = -(-probes.POOL // len(cases))
            blocks = [block.inputs for case in cases for block in case.blocks(translator, each, 0)]
            return np.concatenate(blocks)
        except ZooError:
            # The data does not fit the task.
            pass
    return mixed_images(translator.input_shape)


def calibration_inputs(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[Images, str]:
    """Load training images, and corrupt or convert them as in training.

    Raises `ExportError` if there are no images, or if inputs cannot be made from them.
    """
    images, source = calibration_set.load_images(manifest, engine, calibration)
    return _corrupt(images, manifest, engine), source


def _corrupt(images: Images, manifest: dict[str, Any], engine: Path) -> Images:
    from zoo import corruption
    from zoo.corruption.edges import edges

    draw: dict[str, Callable[[Images], Images]] = {
        "edges": edges,
        "colour": corruption.grey,
        "colorization": corruption.grey,
    }
    task = manifest.get("task", "")
    if task in draw:
        return draw[task](images)
    if task == "pairs":
        raise ExportError(
            f"{engine.name} was trained on pairs; pass --calibrate an .npy file of its inputs"
        )
    kinds = [corruption.parse(spec) for spec in manifest.get("corruption") or []]
    if not kinds:
        return images
    damaged = np.empty((*images.shape[:3], manifest["input"]["channels"]), np.uint8)
    for index, kind in enumerate(kinds):
        damaged[index :: len(kinds)] = kind.apply(images[index :: len(kinds)], calibration_set.SEED)
    return damaged


RUNNER = Runner("Translator", run, list_probes, calibration_inputs, takes_images=True)
ROLE = Role(build_graph, manifest_fields, check, RUNNER, counts_folding=True)
