"""Building of plans from prepared graphs."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from onnx import ModelProto

from export.errors import ExportError, one_line
from export.manifest import seal, with_blank_digest
from export.plan import name as name_in_plan
from export.plan import plugins, targets, timing_cache
from export.plan.targets import TensorRT
from export.plan.types import Build, Options
from runtime.plans import Log
from zoo.console import is_terminal


def build(
    model: ModelProto,
    name: str,
    document: dict[str, Any],
    options: Options,
    warn: Callable[[str], None],
) -> Build:
    """Build a plan.

    Args:
        model: from `pipeline.prepare`.
        name: of the file, for messages.
        document: the manifest; `plan.inputs` and `plan.outputs` are filled in here.
        options: of the build.
        warn: called with one line for each option that has no effect.

    Raises:
        ExportError: TensorRT refuses the graph or fails to build, with its first message; or
            cannot load the plugins.
    """
    tensorrt = options.tensorrt
    trt, log = tensorrt.module, tensorrt.log
    log.clear()
    start = time.perf_counter()
    try:
        if options.plugins:
            plugins.register(tensorrt)
        builder = trt.Builder(log.logger)
        network = builder.create_network(_network_flags(tensorrt))
        parser = trt.OnnxParser(network, log.logger)
        if not parser.parse(model.SerializeToString()):
            raise ExportError(
                f"{tensorrt.title} refuses the graph of {name}: {_parser_error(parser, log)}"
            )
        tensors = {f"{which}s": _describe_tensors(network, which) for which in ("input", "output")}
        document = with_blank_digest(document | {"plan": document["plan"] | tensors})
        config = builder.create_builder_config()
        if name_in_plan.store_manifest(network, json.dumps(document)) and not tensorrt.portable:
            # With less verbosity, TensorRT does not promise to keep the metadata.
            config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        _configure(builder, network, config, options, warn)
    except (RuntimeError, TypeError) as error:
        # The bindings raise these if the library behind them fails to create an object.
        raise ExportError(
            f"{tensorrt.title} does not work here: {log.first_error()} ({one_line(error)})"
        ) from error
    cache = options.cache or timing_cache.default_path(tensorrt)
    cached = timing_cache.is_supported(tensorrt, config)
    if cached and cache:
        timing_cache.load(config, cache, warn)
    elif options.cache:
        warn(f"{tensorrt.title} has no timing cache: it measures when a plan is first run")
    with _show_progress(tensorrt, config, name):
        host = builder.build_serialized_network(network, config)
    if host is None:
        raise ExportError(f"{tensorrt.title} cannot build {name}: {log.first_error()}")
    if cached and cache:
        timing_cache.save(config, cache, warn)
    with memoryview(host) as view:
        data = bytes(view)
    seconds = time.perf_counter() - start
    layers = _count_layers(tensorrt, data) or int(network.num_layers)
    # Sealing changes characters of the network's name in the plan, which TensorRT does not verify
    # as long as their number stays the same (tests/export/test_plan.py).
    return Build(seal(data), document, seconds, layers)


def _network_flags(tensorrt: TensorRT) -> int:
    """Return the flags for a strongly typed network, the only kind in TensorRT 11."""
    flag = tensorrt.flag("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
    return 0 if flag is None else 1 << int(flag)


def _parser_error(parser: Any, log: Log) -> str:
    """Return the first message of the parser, and its node."""
    if not parser.num_errors:
        return log.first_error()
    error = parser.get_error(0)
    # Further lines repeat the first one, or complain of a missing driver.
    text = one_line(
        str(error.desc()).strip().splitlines()[0] if error.desc() else log.first_error()
    )
    node = getattr(error, "node_name", str)()
    operator = getattr(error, "node_operator", str)()
    return f"node {node} ({operator}): {text}" if node else text


def _describe_tensors(network: Any, which: str) -> list[dict[str, Any]]:
    """Return names, types and shapes of the inputs or outputs of a network."""
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
    builder: Any, network: Any, config: Any, options: Options, warn: Callable[[str], None]
) -> None:
    """Set the flags, and a profile of fixed size for each bucket."""
    tensorrt = options.tensorrt
    tf32 = tensorrt.flag("BuilderFlag", "TF32")
    if tf32 is not None:
        # In half precision, TF32 for the remaining fp32 products costs no further accuracy.
        (config.clear_flag if options.precision == "fp32" else config.set_flag)(tf32)
    if options.compatible:
        _make_compatible(config, tensorrt, warn)
    for least, most in options.profiles:
        config.add_optimization_profile(make_profile(builder, network, least, most))


def make_profile(builder: Any, network: Any, least: int, most: int) -> Any:
    """Build an optimisation profile for a range of batch sizes, best for the greatest."""
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if -1 in tensor.shape:
            low, high = (
                [rows if axis == -1 else axis for axis in tensor.shape] for rows in (least, most)
            )
            profile.set_shape(tensor.name, low, high, high)
    return profile


def _make_compatible(config: Any, tensorrt: TensorRT, warn: Callable[[str], None]) -> None:
    if tensorrt.portable:
        warn(f"plans of {tensorrt.title} always run on GPUs from Ampere on")
        return
    version = tensorrt.flag("BuilderFlag", "VERSION_COMPATIBLE")
    hardware = tensorrt.flag("HardwareCompatibilityLevel", "AMPERE_PLUS")
    if version is not None:
        config.set_flag(version)
    if hardware is not None and hasattr(config, "hardware_compatibility_level"):
        config.hardware_compatibility_level = hardware
    if version is None and hardware is None:
        warn(f"{tensorrt.title} has no flags for compatible plans")


@contextmanager
def _show_progress(tensorrt: TensorRT, config: Any, name: str) -> Iterator[None]:
    """Show the progress of the build on a terminal, if the bindings support it."""
    base = getattr(tensorrt.module, "IProgressMonitor", None)
    shown = is_terminal(sys.stderr) and hasattr(config, "progress_monitor")
    if base is None or not shown:
        yield
        return
    lock = threading.Lock()

    class Monitor(base):  # type: ignore[misc, valid-type]
        """Display of the latest phase; called from several threads."""

        def __init__(self) -> None:
            super().__init__()
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            self.show(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.show(phase_name, step + 1)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

        def show(self, phase: str, step: int) -> None:
            with lock:
                steps = max(self.steps.get(phase, 1), 1)
                bar = "█" * (20 * min(step, steps) // steps)
                sys.stderr.write(f"\r{name}  {bar:░<20}  {phase} {step}/{steps}\x1b[K")
                sys.stderr.flush()

    config.progress_monitor = monitor = Monitor()
    try:
        yield
    finally:
        del monitor
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def _count_layers(tensorrt: TensorRT, data: bytes) -> int | None:
    """Count the layers of the plan after fusion; None if it cannot be loaded (no GPU)."""
    if targets.compute_capability() is None:
        return None
    runtime = tensorrt.module.Runtime(tensorrt.log.logger)
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None or not hasattr(engine, "create_engine_inspector"):
        return None
    kind = tensorrt.flag("LayerInformationFormat", "JSON")
    text = engine.create_engine_inspector().get_engine_information(kind)
    try:
        return len(_first_profile_layers(json.loads(text)["Layers"]))
    except (KeyError, TypeError, ValueError):
        return None


def _first_profile_layers(layers: list[Any]) -> list[str]:
    """Return the names of the layers of one batch size from TensorRT's list over all profiles.

    Layers of other profiles than the first have its number in their name. An entry is a name, or
    with detailed profiling an object with a name.
    """
    names = [layer["Name"] if isinstance(layer, dict) else str(layer) for layer in layers]
    return [name for name in names if not re.search(r" \[profile [1-9]\d*\]", name)]
