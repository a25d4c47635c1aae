"""Translators: images in, images out, maybe with attributes or with noise in their layers."""

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
from export.checks import Check, close
from export.errors import ExportError
from export.inputs import Inputs
from export.manifest import INPUTS_SCHEMA, layers, noise_streams
from export.modules import ROWS as BATCH_AXIS
from export.modules import (
    Example,
    Graph,
    ImageGraph,
    drawn,
    image_from_mean,
    noise_widths,
    unit,
    words,
)
from export.options import Options
from export.parity import (
    FIRST,
    FOLDING_LIMIT,
    ROWS,
    SEED,
    CheckedFile,
    ImageCheck,
    check_image_graph,
    check_layers,
    image_check,
    levels,
    mixed_images,
    unit_images,
)
from export.plan import calibration_set, probes
from export.plan.calibration_set import Calibration
from export.plan.probes import Probe
from export.roles.role import Role, Runner, feed
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
        """The translated images."""
        return image_from_mean(self.model.translate(unit(input)), "uint8", bounded=True)


class DomainsGraph(TranslatorGraph):
    """(input uint8 [N,H,W,C'], attributes [N,K]) -> image uint8 [N,H,W,C]."""

    inputs = ("input", "attributes")

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(model, shape)
        self.count = len(domains(model))

    def forward(self, input: Tensor, attributes: Tensor) -> Tensor:  # type: ignore[override]
        """The images with these attributes."""
        made = self.model.translate(unit(input), attributes)
        return image_from_mean(made, "uint8", bounded=True)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, torch.zeros(2, self.count)), (*axes, BATCH_AXIS)


class NoisyTranslatorGraph(TranslatorGraph):
    """(input uint8 [N,H,W,C'], seed [1], first [1]) -> image uint8 [N,H,W,C]."""

    inputs = ("input", "seed", "first")

    def forward(  # type: ignore[override]
        self, input: Tensor, seed: Tensor, first: Tensor
    ) -> Tensor:
        """The translated images; row r has the noise of sample `first + r` of `seed`."""
        made = self.model.translate(unit(input), drawn(input, seed, first))
        return image_from_mean(made, "uint8", bounded=True)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, *words()), (*axes, {}, {})


def domains(model: Any) -> tuple[str, ...]:
    """The attributes that a translator is told, by name."""
    return tuple(getattr(model, "domains", ()) or getattr(model.config, "domains", ()))


def graph(checkpoint: Checkpoint, options: Options) -> Graph:
    """The translator of a checkpoint."""
    model: Any = checkpoint.model
    if domains(model) and noise_widths(model):
        raise ExportError("a translator with attributes and noise at once is not exported")
    kind = TranslatorGraph
    if domains(model):
        kind = DomainsGraph
    elif noise_widths(model):
        kind = NoisyTranslatorGraph
    return kind(model, checkpoint.shape)


def fields(checkpoint: Checkpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """Its task, the images that go in, and what else does."""
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
    if drawn := layers(model):
        document |= {"schema": INPUTS_SCHEMA} | noise_streams({"layers": drawn})
    return document


def check(file: CheckedFile) -> list[Check]:
    """All checks, with attributes of all kinds."""
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
    made = levels(_translated(network, unit_images(inputs), more).numpy())
    kind = ImageCheck("input", "image", image_check, RUNNER.engine_class, "translate")
    return results + check_image_graph(file, kind, inputs, made, more, seeded=bool(widths))


@torch.no_grad()
def _translated(network: Any, images: Tensor, more: dict[str, NDArray[Any]]) -> Tensor:
    """What PyTorch makes of images [N, C', S, S], with the noise of the samples from FIRST on."""
    made: Tensor
    if more:
        made = network.translate(images, torch.from_numpy(more["attributes"]).to(images))
    elif noise_widths(network):
        noise = Inputs(SEED, FIRST).source(len(images), 1.0)
        made = network.translate(images, lambda *layer: noise(*layer).to(images))
    else:
        made = network.translate(images)
    return made


def _check_folding(
    engine: str, checkpoint: Checkpoint, inputs: Images, more: dict[str, NDArray[Any]]
) -> list[Check]:
    if checkpoint.trained is None:
        return []
    trained = copy.deepcopy(checkpoint.trained).double()
    images, more = (
        unit_images(inputs[:8]).double(),
        {name: value[:8] for name, value in more.items()},
    )
    expected = _translated(trained, images, more).numpy()
    got = _translated(to_inference(trained), images, more).numpy()
    limit = FOLDING_LIMIT
    return [close(engine, "image: folding, float64", got, expected, limit, limit)]


def run(translator: Any, n: int, batch: int) -> None:
    """Translate n images, without any attribute."""
    call = translator.translate
    if translator.attributes:
        call = partial(call, attributes=np.zeros(len(translator.attributes)))
    feed(call, translator.input_shape, n, batch)


def probe(translator: Any, data: DataSet | None) -> list[Probe]:
    """Images of images, each with one attribute."""
    pool = _pool(translator, data)
    attributes = np.eye(len(translator.attributes), dtype=np.float32)

    def translate(opened: Any, start: int, stop: int) -> NDArray[Any]:
        given = {"attributes": probes.rows(attributes, start, stop)} if len(attributes) else {}
        key = {"seed": probes.SEED, "first": probes.FIRST + start}
        images: NDArray[Any] = opened.translate(probes.rows(pool, start, stop), **given, **key)
        return images

    return [Probe("images", translate)]


def _pool(translator: Any, data: DataSet | None) -> NDArray[Any]:
    """Held-out images damaged, drawn or coloured as the translator is made for."""
    if data is not None:
        from zoo.evaluation.cases import list_cases

        try:
            found = list_cases(translator, data)
            each = -(-probes.POOL // len(found))
            blocks = [block.inputs for case in found for block in case.blocks(translator, each, 0)]
            return np.concatenate(blocks)
        except ZooError:
            # The data are not of its kind.
            pass
    return mixed_images(translator.input_shape)


def calibration_inputs(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[Images, str]:
    """What a translator takes in the place of whole images, as in its training.

    Raises ExportError where there are no images, or the inputs cannot be made of them.
    """
    images, source = calibration_set.images(manifest, engine, calibration)
    return _damaged(images, manifest, engine), source


def _damaged(images: Images, manifest: dict[str, Any], engine: Path) -> Images:
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
            f"{engine.name} was trained on pairs; give --calibrate a file of its inputs, .npy"
        )
    kinds = [corruption.parse(spec) for spec in manifest.get("corruption") or []]
    if not kinds:
        return images
    damaged = np.empty((*images.shape[:3], manifest["input"]["channels"]), np.uint8)
    for index, kind in enumerate(kinds):
        damaged[index :: len(kinds)] = kind.apply(images[index :: len(kinds)], calibration_set.SEED)
    return damaged


RUNNER = Runner("Translator", run, probe, calibration_inputs, takes_images=True)
ROLE = Role(graph, fields, check, RUNNER, counts_folding=True)
