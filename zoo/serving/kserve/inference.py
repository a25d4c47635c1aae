"""What both transports answer: the models, and the outputs of checked requests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

import runtime
from zoo.serving.kserve import signatures
from zoo.serving.kserve.tensors import TensorData, TensorSpec, read
from zoo.serving.models import GeneratorModel, Model
from zoo.serving.parameters import RequestError, read_all, show

VERSION = "1"
"""The only version of every model."""

EXTENSIONS = ("binary_tensor_data", "model_configuration", "statistics")

_PROTOCOL = {
    "binary_data_output",
    "priority",
    "sequence_end",
    "sequence_id",
    "sequence_start",
    "timeout",
    "triton_enable_empty_final_response",
}
"""Parameters of requests that clients of the protocol send; of these, `timeout` is obeyed."""


@dataclass
class InferRequest:
    """A request of either transport; `outputs` are the names that it asks for, if any."""

    id: str = ""
    inputs: list[TensorData] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The rows of the first input as its shape says them, before it is checked."""
        shape = self.inputs[0].shape if self.inputs else None
        return shape[0] if isinstance(shape, list) and shape and type(shape[0]) is int else 0


@dataclass
class Counts:
    """Number of requests, and the nanoseconds that they took."""

    count: int = 0
    ns: int = 0


class Served:
    """A model of the protocol, with its statistics."""

    def __init__(self, model: Model, most: int) -> None:
        self.model = model
        self.signature = signatures.describe(model)
        self._inputs = {spec.name: spec for spec in self.signature.inputs}
        self._required = [spec.name for spec in self.signature.inputs if not spec.optional]
        self._most = most
        self.succeeded, self.failed, self.last = Counts(), Counts(), 0

    @property
    def output(self) -> TensorSpec:
        """The only output."""
        return self.signature.output

    async def infer(self, request: InferRequest, seconds: float | None) -> NDArray[Any]:
        """Return the output. Raises RequestError, runtime.errors.Error."""
        began, counts = time.perf_counter_ns(), self.failed
        try:
            values, options = self._read(request)
            result = await self.signature.run(values, options, _limit(request, seconds))
            counts, self.last = self.succeeded, time.time_ns() // 10**6
            return result
        finally:
            counts.count += 1
            counts.ns += time.perf_counter_ns() - began

    def _read(self, request: InferRequest) -> tuple[dict[str, Any], dict[str, Any]]:
        values: dict[str, Any] = {}
        for data in request.inputs:
            if data.name not in self._inputs:
                known = ", ".join(self._inputs)
                raise RequestError(f"unknown input {show(data.name)}; known: {known}")
            if data.name in values:
                raise RequestError(f"input {data.name}: expected once")
            values[data.name] = read(self._inputs[data.name], data, self._most)
        for name in self._required:
            if name not in values:
                raise RequestError(f"input {name}: expected, but missing")
        first = self._required[0]
        rows = len(values[first])
        for name, value in values.items():
            if len(value) != rows:
                raise RequestError(
                    f"input {name}: expected {rows} rows like {first}, got {len(value)}"
                )
        for name in request.outputs:
            if name != self.output.name:
                raise RequestError(f"unknown output {show(name)}; known: {self.output.name}")
        own = {name: each for name, each in request.parameters.items() if name not in _PROTOCOL}
        return values, read_all(self.signature.options, own)

    def metadata(self) -> dict[str, Any]:
        """Return the name, version, inputs and outputs."""

        def listed(spec: TensorSpec) -> dict[str, Any]:
            return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}

        return {
            "name": self.model.name,
            "versions": [VERSION],
            "platform": "zoo",
            "inputs": [listed(spec) for spec in self.signature.inputs],
            "outputs": [listed(self.output)],
        }

    def config(self) -> dict[str, Any]:
        """Return the configuration, with the fields that Triton has for these values."""

        def listed(spec: TensorSpec) -> dict[str, Any]:
            kind = {"BYTES": "STRING"}.get(spec.datatype, spec.datatype)
            return {
                "name": spec.name,
                "data_type": f"TYPE_{kind}",
                # Without the rows, whose largest number is max_batch_size.
                "dims": list(spec.shape[1:]),
            }

        config = {
            "name": self.model.name,
            "platform": "zoo",
            "backend": self.model.backend,
            "max_batch_size": self._most,
            "input": [
                {**listed(spec), "optional": spec.optional} for spec in self.signature.inputs
            ],
            "output": [listed(self.output)],
        }
        if isinstance(self.model, GeneratorModel):
            delay = round(self.model.batch.delay * 1e6)
            config["dynamic_batching"] = {"max_queue_delay_microseconds": delay}
        return config

    def statistics(self) -> dict[str, Any]:
        """Return the number of requests of this protocol, and of all images and runs."""
        images, runs = self.model.pool.images, self.succeeded.count
        if isinstance(self.model, GeneratorModel):
            counts = self.model.batcher.statistics()
            images, runs = counts.images, counts.runs
        return {
            "name": self.model.name,
            "version": VERSION,
            "last_inference": self.last,
            "inference_count": images,
            "execution_count": runs,
            "inference_stats": {
                "success": {"count": self.succeeded.count, "ns": self.succeeded.ns},
                "fail": {"count": self.failed.count, "ns": self.failed.ns},
            },
        }


class Repository:
    """All models of a service. most: rows of the largest request; seconds: a request's limit."""

    def __init__(self, models: Mapping[str, Model], most: int, seconds: float | None) -> None:
        self.seconds = seconds
        self._served = {name: Served(model, most) for name, model in models.items()}

    def find(self, name: str, version: str = "") -> Served:
        """Return a model. Raises RequestError (404)."""
        served = self._served.get(name)
        if served is None:
            raise RequestError(f"no model {show(name)}", 404)
        if version not in ("", VERSION):
            raise RequestError(f"no version {show(version)} of {name}; it has {VERSION}", 404)
        return served

    def has(self, name: str, version: str = "") -> bool:
        """Return True if there is such a model."""
        return name in self._served and version in ("", VERSION)

    def metadata(self) -> dict[str, Any]:
        """Return what the service says of itself."""
        return {
            "name": "generator-zoo",
            "version": runtime.__version__,
            "extensions": list(EXTENSIONS),
        }

    def statistics(self, name: str = "", version: str = "") -> dict[str, Any]:
        """Return the statistics of a model, or of all without a name. Raises RequestError."""
        models = [self.find(name, version)] if name else self._served.values()
        return {"model_stats": [served.statistics() for served in models]}

    def index(self) -> list[dict[str, Any]]:
        """Return the names and states of all models."""
        return [
            {"name": name, "version": VERSION, "state": "READY", "reason": ""}
            for name in self._served
        ]


def _limit(request: InferRequest, seconds: float | None) -> float | None:
    """Return the seconds of a request: those of the service, or less by its own `timeout`."""
    timeout = request.parameters.get("timeout")
    if timeout is None or timeout == 0:
        return seconds
    if type(timeout) is not int or timeout < 0:
        raise RequestError(f"timeout: expected microseconds, got {show(timeout)}")
    # A number beyond that of any float is no limit either.
    own = min(timeout, 10**18) / 1e6
    return own if seconds is None else min(seconds, own)
