"""Sessions of stock ONNX Runtime, which runs the portable bodies of our operators."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from export import reference
from export.errors import ExportError
from export.reference import F32


class Session:
    """A model loaded into stock ONNX Runtime on the CPU.

    Args:
        model: the model, or its bytes.
        extra: float tensors inside the graph to return besides its outputs.
        threads: threads of one run, 0 for one per core.
        optimize: fuse and fold operators.

    Raises:
        ExportError: ONNX Runtime refuses the model.
    """

    def __init__(
        self,
        model: ModelProto | bytes,
        extra: Sequence[str] = (),
        threads: int = 1,
        optimize: bool = True,
    ) -> None:
        if isinstance(model, bytes):
            data = model
        else:
            model = copy.deepcopy(model)
            model.graph.output.extend(
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in extra
            )
            data = model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot load the exported model: {error}") from error
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return all outputs by name."""
        try:
            results = self._session.run(None, inputs)
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot run the exported model: {error}") from error
        return dict(zip(self.outputs, results, strict=True))

    def generate(
        self, mu: F32, logvar: F32, seed: int, first: int, **more: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Run a generator on mu and logvar [N, D] and its other inputs."""
        key = {"seed": reference.int64(seed), "first": reference.int64(first)}
        return self.run(mu=mu, logvar=logvar, **key, **more)

    def sample(
        self, n: int, width: int, seed: int, first: int, **more: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Run a generator on samples first … first + n - 1 of the prior."""
        zeros = np.zeros((n, width), np.float32)
        return self.generate(zeros, zeros, seed, first, **more)

    def decode(
        self, latents: F32, seed: int = 0, first: int = 0, **more: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Run a generator on latents [N, D]: with a log-variance of -inf there is no noise."""
        return self.generate(latents, np.full_like(latents, -np.inf), seed, first, **more)
