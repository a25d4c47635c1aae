"""Model of Triton's Python backend: an engine file, run by `runtime`, or the noise of a network.

Copied into every model of a repository. What differs between models is in config.pbtxt: the
parameters `engine` (the file beside this one), `engine_class` (the class of `runtime` that opens
it), `options` (parameters that requests may have), and `backend`, `precision` and `instances`,
as those of that class. Of the class `Noise`, which is here, the only other parameter is `streams`:
`NAME:STREAM:WIDTH …` for each output. Needs NumPy and `runtime` in the server's Python.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton

try:
    import runtime
except ImportError as error:
    raise ImportError(
        f"the server's Python cannot import runtime ({error}): pip install generator-zoo there"
    ) from error

Options = tuple[tuple[str, Any], ...]
Rows = dict[str, Any]


class Noise:
    """Standard normal numbers by key: row r of a stream is that of sample index[r] of seed[r]."""

    def __init__(self, streams: str) -> None:
        parts = [part.rsplit(":", 2) for part in streams.split()]
        self._streams = [(int(stream), int(width)) for _, stream, width in parts]

    def draw(self, keys: Any) -> list[Any]:
        """Return an array [n, width] for each stream."""
        return [
            runtime.ops.reparametrized_sample(zeros, zeros, stream=stream, keys=keys)
            for stream, width in self._streams
            for zeros in [np.zeros((len(keys), width), np.float32)]
        ]

    def close(self) -> None:
        """Nothing is held."""


class TritonPythonModel:
    """A model: rows of all requests that wait share runs, whatever their seeds."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the engine, on the GPU of the instance or on the CPU."""
        _check_numpy()
        config = json.loads(args["model_config"])
        given = {name: each["string_value"] for name, each in config["parameters"].items()}
        kind = given["engine_class"]
        self._engine: Any = Noise(given["streams"]) if kind == "Noise" else _open(args, given)
        self._run = {
            "Generator": self._generate,
            "Encoder": self._encode,
            "Classifier": self._classify,
            "Translator": self._translate,
            "Noise": self._draw,
        }[kind]
        self._options = given["options"].split()
        self._inputs = [each["name"] for each in config["input"]]
        self._outputs = [each["name"] for each in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Return a response for each request; the error of one is not that of others."""
        responses: list[Any] = [None] * len(requests)
        groups: dict[Options, list[tuple[int, Rows]]] = {}
        for place, request in enumerate(requests):
            try:
                options = self._read_options(request)
            except ValueError as error:
                responses[place] = _refuse(error)
            else:
                groups.setdefault(options, []).append((place, self._read_inputs(request)))
        for options, members in groups.items():
            answers = self._respond([rows for _, rows in members], dict(options))
            for (place, _), response in zip(members, answers, strict=True):
                responses[place] = response
        return responses

    def finalize(self) -> None:
        """Release the engine."""
        self._engine.close()

    def _read_options(self, request: Any) -> Options:
        """Return the parameters of a request as sorted pairs. Raises ValueError."""
        options = json.loads(request.parameters() or "{}")
        for name, value in options.items():
            if name not in self._options:
                known = ", ".join(self._options) or "none"
                raise ValueError(f"unknown parameter {name!r}; known: {known}")
            if name != "prior":
                try:
                    options[name] = math.nan if isinstance(value, bool) else float(value)
                except (TypeError, ValueError):
                    raise ValueError(f"{name}: expected a number, got {value!r}") from None
        return tuple(sorted(options.items()))

    def _read_inputs(self, request: Any) -> Rows:
        tensors = {name: triton.get_input_tensor_by_name(request, name) for name in self._inputs}
        values = {name: each.as_numpy() for name, each in tensors.items() if each is not None}
        if "label" in self._inputs and "label" not in values:
            # As without labels, but in one run with the rows of requests that have them.
            classes = np.uint64(self._engine.class_count)
            values["label"] = (values["index"] % classes).astype(np.int64)
        return values

    def _respond(self, requests: list[Rows], options: dict[str, Any]) -> list[Any]:
        """Return the responses of requests with the same options, computed together."""
        counts = [len(next(iter(values.values()))) for values in requests]
        rows = {name: np.concatenate([each[name] for each in requests]) for name in requests[0]}
        try:
            results = self._run(rows, options)
        except runtime.errors.Error as error:
            if len(requests) > 1:
                return [self._respond([values], options)[0] for values in requests]
            return [_refuse(error)]
        ends = np.cumsum(counts)[:-1]
        parts = zip(*(np.split(each, ends) for each in results), strict=True)
        return [triton.InferenceResponse(list(map(triton.Tensor, self._outputs, p))) for p in parts]

    def _generate(self, rows: Rows, options: dict[str, Any]) -> list[Any]:
        if "latents" in rows:
            return [self._engine.decode(rows["latents"])]
        keys, labels = _join_keys(rows), rows.get("label")
        labels = None if labels is None else labels.ravel()
        return [self._engine.sample(len(keys), keys=keys, labels=labels, **options)]

    def _encode(self, rows: Rows, options: dict[str, Any]) -> list[Any]:
        return [self._engine.embed(rows["images"])]

    def _classify(self, rows: Rows, options: dict[str, Any]) -> list[Any]:
        return [self._engine.classify(rows["images"])]

    def _translate(self, rows: Rows, options: dict[str, Any]) -> list[Any]:
        keys = _join_keys(rows) if "seed" in rows else None
        return [self._engine.translate(rows["images"], rows.get("attributes"), keys=keys)]

    def _draw(self, rows: Rows, options: dict[str, Any]) -> list[Any]:
        return self._engine.draw(_join_keys(rows))


def _open(args: dict[str, str], given: dict[str, str]) -> Any:
    """Open the engine of a model, on the GPU of the instance or on the CPU."""
    gpu = args["model_instance_kind"] == "GPU"
    return getattr(runtime, given["engine_class"])(
        Path(__file__).with_name(given["engine"]),
        device=f"cuda:{args['model_instance_device_id']}" if gpu else "cpu",
        backend=given["backend"],
        precision=given["precision"],
        instances=int(given["instances"]) or None,
    )


def _check_numpy() -> None:
    """Raise RuntimeError if the server reads the arrays of this NumPy wrongly."""
    array = np.arange(3, dtype=np.uint64)
    read = triton.Tensor.from_dlpack("array", triton.Tensor("array", array)).as_numpy()
    if not np.array_equal(read, array):
        raise RuntimeError(
            f"this Triton does not read arrays of NumPy {np.__version__}: pip install 'numpy<2'"
        )


def _join_keys(rows: Rows) -> Any:
    return np.concatenate([rows["seed"], rows["index"]], axis=1)


def _refuse(error: Exception) -> Any:
    invalid = isinstance(error, (ValueError, runtime.errors.ArgumentError))
    code = triton.TritonError.INVALID_ARG if invalid else triton.TritonError.INTERNAL
    return triton.InferenceResponse(error=triton.TritonError(str(error), code))
