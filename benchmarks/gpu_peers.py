"""Peers in the GPU benchmark: stock ONNX Runtime, and the table of all peers."""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_contenders import Contender, Images, NotInstalled, Where
from benchmarks.gpu_torch import TorchCompile, TorchEager


class StockOnnxRuntime(Contender):
    """The engine file in ONNX Runtime's own Python package, with IO binding.

    The portable body of the noise operator draws the noise. TF32, the package's default on a GPU,
    is off for fp32.
    """

    name = "ONNX Runtime"

    def open(self) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise NotInstalled(str(error)) from error
        device, _, index = self.case.peer_device.partition(":")
        providers: list[Any] = ["CPUExecutionProvider"]
        if device == "cuda":
            if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
                raise NotInstalled(
                    f"onnxruntime {onnxruntime.__version__} has no CUDA provider: install "
                    "onnxruntime-gpu instead of onnxruntime"
                )
            tf32 = "1" if self.precision == "tf32" else "0"
            settings = {"device_id": index or "0", "use_tf32": tf32}
            providers.insert(0, ("CUDAExecutionProvider", settings))
            getattr(onnxruntime, "preload_dlls", lambda: None)()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(self.case.engine, options, providers=providers)
        if device == "cuda" and self.session.get_providers()[0] != "CUDAExecutionProvider":
            raise NotInstalled("onnxruntime-gpu cannot load its CUDA libraries")
        self.place = device, int(index or 0)
        self.output = self.session.get_outputs()[0].name
        from runtime import manifest

        self.width: int = manifest.read(Path(self.case.engine))["latent"]["width"]

    def binding(self, batch: int, device: str) -> Any:
        """Bind the prior's inputs for a batch, and the output on a device."""
        binding = self.session.io_binding()
        zeros = np.zeros((batch, self.width), np.float32)
        inputs = {"mu": zeros, "logvar": zeros, "truncation": np.ones(1, np.float32)}
        inputs["noise"] = inputs["truncation"]
        # Samples of N(0, I), as those of the other contenders.
        inputs["mixture"] = np.zeros(1, np.float32)
        names = {value.name for value in self.session.get_inputs()}
        for name in names & inputs.keys():
            binding.bind_cpu_input(name, inputs[name])
        binding.bind_output(self.output, device, self.place[1] if device != "cpu" else 0)
        return binding

    def run(self, binding: Any, seed: int, first: int) -> None:
        """Compute a batch of the run with this seed."""
        for name, value in (("seed", seed), ("first", first)):
            # All 64 bits, as the signed type of the graph's input.
            binding.bind_cpu_input(name, np.array([value], np.uint64).view(np.int64))
        self.session.run_with_iobinding(binding)

    def contract(self, batch: int, seed: int, n: int) -> Images:
        binding, parts = self.binding(batch, "cpu"), []
        for first in range(0, n, batch):
            self.run(binding, seed, first)
            parts.append(binding.copy_outputs_to_cpu()[0].copy())
        return np.concatenate(parts)[:n]

    def requests(self, batch: int) -> Iterator[Images]:
        binding, first = self.binding(batch, "cpu"), 0
        while True:
            self.run(binding, 1, first)
            yield binding.get_outputs()[0].numpy()
            first += batch

    def batches(self, batch: int, where: Where) -> Iterator[int]:
        binding = self.binding(batch, "cpu" if where == "numpy" else self.place[0])
        first = 0
        while True:
            self.run(binding, 2, first)
            if where == "numpy":
                binding.get_outputs()[0].numpy()
            yield batch
            first += batch


def _in_precision(kind: type[Contender], precision: str) -> type[Contender]:
    variant: type[Contender] = type(kind.__name__, (kind,), {"precision": precision})
    return variant


PEERS: dict[str, type[Contender]] = {
    "torch-fp32": TorchEager,
    "torch-tf32": _in_precision(TorchEager, "tf32"),
    "torch-fp16": _in_precision(TorchEager, "fp16"),
    "compile-fp32": TorchCompile,
    "compile-tf32": _in_precision(TorchCompile, "tf32"),
    "compile-fp16": _in_precision(TorchCompile, "fp16"),
    "compile-bf16": _in_precision(TorchCompile, "bf16"),
    "onnxruntime-fp32": StockOnnxRuntime,
    "onnxruntime-tf32": _in_precision(StockOnnxRuntime, "tf32"),
}
