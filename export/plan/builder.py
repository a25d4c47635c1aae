"""A prepared graph to the bytes of a plan."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from onnx import ModelProto

from export.errors import ExportError
from export.plan import flavours, timing_cache
from export.plan import name as name_in_plan
from export.plan.flavours import Flavour
from export.plan.monitor import progress
from export.plan.precision import Precision
from export.plan.samples import Wanted
from runtime.plans import Log

Tensor = dict[str, Any]
"""Of a plan's manifest: name, dtype, and shape, whose first axis is "N" where it is the batch."""


@dataclass(frozen=True)
class Settings:
    """How to build: for which TensorRT, in what precision, and for which numbers of rows.

    `buckets` are the batch sizes that the plan runs, in rising order. `cache` is where what the
    builder measured is kept, None for the user's cache folder. `compatible` asks for a plan that
    later versions and other GPUs take too. `calibrate` is for int8 and fp8.
    """

    flavour: Flavour
    precision: Precision = "fp32"
    buckets: tuple[int, ...] = (1, 64, 512)
    cache: Path | None = None
    compatible: bool = False
    calibrate: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True)
class Built:
    """A plan's bytes, how long it took to build, and how many layers it has for a batch size."""

    data: bytes
    seconds: float
    layers: int


def build(
    model: ModelProto,
    name: str,
    describe: Callable[[list[Tensor], list[Tensor]], str],
    settings: Settings,
    warn: Callable[[str], None],
) -> Built:
    """Build a plan.

    Args:
        model: of `precision.lower`.
        name: of the file, for messages.
        describe: makes the manifest, in ASCII, of the network's inputs and outputs.
        settings: how to build.
        warn: called with one line for what is done differently than was asked.

    Raises:
        ExportError: TensorRT refuses the graph or fails to build; with its own first message.
    """
    flavour = settings.flavour
    trt, log = flavour.module, flavour.log
    log.clear()
    start = time.perf_counter()
    try:
        builder = trt.Builder(log.logger)
        network = builder.create_network(_network_flags(flavour))
        parser = trt.OnnxParser(network, log.logger)
        if not parser.parse(model.SerializeToString()):
            raise ExportError(
                f"{flavour.title} refuses the graph of {name}: {_refusal(parser, log)}"
            )
        text = describe(_ends(network, "input"), _ends(network, "output"))
        config = builder.create_builder_config()
        if name_in_plan.put(network, text) and not flavour.portable:
            # Else TensorRT promises no metadata in the plan.
            config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        _configure(builder, network, config, settings, warn)
    except (RuntimeError, TypeError) as error:
        # The bindings say so where the library behind them failed to make an object.
        raise ExportError(
            f"{flavour.title} does not work here: {log.first_error()} ({_line(error)})"
        ) from error
    cache = settings.cache or timing_cache.default(flavour)
    cached = timing_cache.has_one(flavour, config)
    if cached and cache:
        timing_cache.load(config, cache, warn)
    elif settings.cache:
        warn(f"{flavour.title} keeps no timing cache: it measures where a plan is first run")
    with progress(flavour, config, name):
        host = builder.build_serialized_network(network, config)
    if host is None:
        raise ExportError(f"{flavour.title} cannot build {name}: {log.first_error()}")
    if cached and cache:
        timing_cache.save(config, cache, warn)
    with memoryview(host) as view:
        data = bytes(view)
    seconds = time.perf_counter() - start
    return Built(data, seconds, _layers(flavour, data) or int(network.num_layers))


def _network_flags(flavour: Flavour) -> int:
    """TensorRT 11 has strongly typed networks only, and may drop the flag."""
    flag = flavour.flag("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
    return 0 if flag is None else 1 << int(flag)


def _refusal(parser: Any, log: Log) -> str:
    """The first message of the parser, and the node that it is about."""
    if not parser.num_errors:
        return log.first_error()
    error = parser.get_error(0)
    # What follows the first line repeats it, or complains of a machine without a driver.
    text = _line(str(error.desc()).strip().splitlines()[0]) if error.desc() else log.first_error()
    node = getattr(error, "node_name", str)()
    operator = getattr(error, "node_operator", str)()
    return f"node {node} ({operator}): {text}" if node else text


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _ends(network: Any, which: str) -> list[Tensor]:
    """Inputs or outputs of the network, as TensorRT sees them."""
    result = []
    for index in range(getattr(network, f"num_{which}s")):
        tensor = getattr(network, f"get_{which}")(index)
        dtype = {"FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16"}.get(
            tensor.dtype.name, tensor.dtype.name.lower()
        )
        shape = ["N" if axis == -1 else int(axis) for axis in tensor.shape]
        result.append({"name": str(tensor.name), "dtype": dtype, "shape": shape})
    return result


def _configure(
    builder: Any, network: Any, config: Any, settings: Settings, warn: Callable[[str], None]
) -> None:
    """Set flags, and a profile for each bucket: its rows are the least, the best and the most."""
    flavour = settings.flavour
    tf32 = flavour.flag("BuilderFlag", "TF32")
    if tf32 is not None:
        # In half precision the products that are left in fp32 lose nothing more by it.
        (config.clear_flag if settings.precision == "fp32" else config.set_flag)(tf32)
    if settings.compatible:
        _make_compatible(config, flavour, warn)
    for rows in settings.buckets:
        config.add_optimization_profile(fixed_profile(builder, network, rows))


def fixed_profile(builder: Any, network: Any, rows: int) -> Any:
    """An optimisation profile of one batch size."""
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 in tensor.shape:
            shape = [rows if axis == -1 else axis for axis in tensor.shape]
            profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def _make_compatible(config: Any, flavour: Flavour, warn: Callable[[str], None]) -> None:
    if flavour.portable:
        warn(f"plans of {flavour.title} run on GPUs from Ampere on as they are")
        return
    version = flavour.flag("BuilderFlag", "VERSION_COMPATIBLE")
    hardware = flavour.flag("HardwareCompatibilityLevel", "AMPERE_PLUS")
    if version is not None:
        config.set_flag(version)
    if hardware is not None and hasattr(config, "hardware_compatibility_level"):
        config.hardware_compatibility_level = hardware
    if version is None and hardware is None:
        warn(f"{flavour.title} has no flags for compatible plans")


def _layers(flavour: Flavour, data: bytes) -> int | None:
    """Layers of the plan after fusion; None where no engine can be made of it (no GPU)."""
    if flavours.compute_capability() is None:
        return None
    runtime = flavour.module.Runtime(flavour.log.logger)
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None or not hasattr(engine, "create_engine_inspector"):
        return None
    kind = flavour.flag("LayerInformationFormat", "JSON")
    text = engine.create_engine_inspector().get_engine_information(kind)
    try:
        return len(_first_profile(json.loads(text)["Layers"]))
    except (KeyError, TypeError, ValueError):
        return None


def _first_profile(layers: list[Any]) -> list[str]:
    """Names of the layers of one batch size; TensorRT lists those of each profile.

    Those of all but the first profile have its number in their names. An entry is a name, or with
    detailed profiling an object that has one.
    """
    names = [layer["Name"] if isinstance(layer, dict) else str(layer) for layer in layers]
    return [name for name in names if not re.search(r" \[profile [1-9]\d*\]", name)]
