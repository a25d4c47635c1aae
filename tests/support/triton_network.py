"""Stand-in for Triton's TensorRT backend: a model of its Python backend that runs `network.onnx`.

The tensors are those of config.pbtxt, which is that of the plan but for the backend. Needs NumPy,
ONNX Runtime and `runtime`, which has the operators, in the server's Python.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton

import runtime


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.register_custom_ops_library(str(runtime.ops.ops_library()))
        self.session = onnxruntime.InferenceSession(
            str(Path(__file__).with_name("network.onnx")), options, ["CPUExecutionProvider"]
        )
        self.inputs = [each["name"] for each in config["input"]]
        self.outputs = [each["name"] for each in config["output"]]
        # As the backend, which checks the rank of every tensor, with the axis of the rows.
        self.ranks = {each.name: len(each.shape) for each in self.session.get_inputs()}

    def execute(self, requests: list[Any]) -> list[Any]:
        rows = []
        for request in requests:
            tensors = [triton.get_input_tensor_by_name(request, name) for name in self.inputs]
            rows.append([tensor.as_numpy() for tensor in tensors])
        feed = dict(zip(self.inputs, map(np.concatenate, zip(*rows, strict=True)), strict=True))
        assert {name: values.ndim for name, values in feed.items()} == self.ranks
        results = self.session.run(self.outputs, feed)
        ends = np.cumsum([len(each[0]) for each in rows])[:-1]
        parts = zip(*(np.split(each, ends) for each in results), strict=True)
        return [
            triton.InferenceResponse(list(map(triton.Tensor, self.outputs, part))) for part in parts
        ]
