"""Contenders of the throughput benchmark on CPUs.

Each contender loads one model, produces batches of uint8 N×H×W×C images in host memory and draws
its own noise, the way a user of that tool would write it and its documentation recommends for
throughput. Each imports the modules it needs in its own process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


class Contender:
    """Base class of contenders."""

    name: ClassVar[str]
    precision: ClassVar[str] = "fp32"
    ours: ClassVar[bool] = False

    def __init__(self, engine: str, cores: int) -> None:
        self.engine, self.cores = engine, cores
        self.rng = np.random.default_rng(0)

    def prepare(self, batch: int) -> None:
        """Prepare for batches of this size."""
        raise NotImplementedError

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Decode latents [batch, D], for the check that all contenders agree."""
        raise NotImplementedError

    def batches(self, batch: int) -> Iterator[int]:
        """Produce batches forever; yield the number of images in each finished one."""
        raise NotImplementedError

    def noise(self, batch: int) -> NDArray[np.float32]:
        """Draw latents [batch, D] with NumPy's generator."""
        return self.rng.standard_normal((batch, self.latent_width), dtype=np.float32)

    latent_width: int


class TorchEager(Contender):
    """PyTorch, inference mode, all cores."""

    name = "PyTorch eager"

    def prepare(self, batch: int) -> None:
        import torch

        from zoo.models.weights import load_generator

        torch.set_num_threads(self.cores)
        self.decoder, config = load_generator(Path(self.engine))
        self.torch = torch
        self.latent_width = config["config"]["latent"]
        self.step: Callable[[Any], Any] = self.forward

    def forward(self, latents: Any) -> Any:
        torch = self.torch
        image = self.decoder(latents)
        if not self.decoder.bounded:
            image = image.clamp(0, 1)
        return (image * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        with self.context():
            images: NDArray[np.uint8] = self.step(self.torch.from_numpy(latents)).numpy()
            return images

    def batches(self, batch: int) -> Iterator[int]:
        with self.context():
            while True:
                self.step(self.torch.randn(batch, self.latent_width)).numpy()
                yield batch

    @contextmanager
    def context(self) -> Iterator[None]:
        with self.torch.inference_mode():
            yield


class TorchEagerBf16(TorchEager):
    """PyTorch with CPU autocast to bfloat16."""

    name = "PyTorch eager"
    precision = "bf16"

    @contextmanager
    def context(self) -> Iterator[None]:
        with self.torch.inference_mode(), self.torch.autocast("cpu", self.torch.bfloat16):
            yield


class TorchCompile(TorchEager):
    """torch.compile with max-autotune and frozen weights; noise and uint8 in the graph."""

    name = "torch.compile"

    def prepare(self, batch: int) -> None:
        super().prepare(batch)
        import torch._inductor.config as inductor

        inductor.freezing = True
        torch = self.torch
        torch._dynamo.reset()
        compiled = torch.compile(self.forward, mode="max-autotune-no-cudagraphs", dynamic=False)
        self.step = compiled
        width = self.latent_width

        def sample() -> Any:
            return self.forward(torch.randn(batch, width))

        self.sample = torch.compile(sample, mode="max-autotune-no-cudagraphs", dynamic=False)
        with self.context():
            for _ in range(3):
                self.sample()

    def batches(self, batch: int) -> Iterator[int]:
        with self.context():
            while True:
                self.sample().numpy()
                yield batch


class TorchCompileBf16(TorchCompile):
    """torch.compile under CPU autocast to bfloat16."""

    name = "torch.compile"
    precision = "bf16"
    context = TorchEagerBf16.context


def decoder_graph(engine: str) -> Path:
    """Write the engine's graph with the latent as its input, without the noise operator.

    A user of a stock runtime would export this graph; the portable body of the operator would
    only slow that runtime down.
    """
    import onnx

    model = onnx.load(engine)
    graph = model.graph
    sampler = next(node for node in graph.node if node.op_type == "ReparametrizedSample")
    latent = sampler.output[0]
    shape = next(value for value in graph.input if value.name == "mu").type
    graph.node.remove(sampler)
    del graph.input[:]
    graph.input.append(onnx.ValueInfoProto(name=latent, type=shape))
    del model.functions[:]
    path = Path(tempfile.mkdtemp(prefix="zoo-benchmark-")) / "decoder.onnx"
    onnx.save(model, path)
    return path


class StockOnnxRuntime(Contender):
    """ONNX Runtime's Python package, one session with all cores."""

    name = "ONNX Runtime"

    def prepare(self, batch: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.cores
        self.session = onnxruntime.InferenceSession(
            decoder_graph(self.engine), options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name
        self.latent_width = self.session.get_inputs()[0].shape[1]

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        images: NDArray[np.uint8] = self.session.run(None, {self.input: latents})[0]
        return images

    def batches(self, batch: int) -> Iterator[int]:
        while True:
            self.decode(self.noise(batch))
            yield batch


class StockOpenVino(Contender):
    """OpenVINO's Python package: throughput hint, static batch, asynchronous queue."""

    name = "OpenVINO"

    def prepare(self, batch: int) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(decoder_graph(self.engine))
        self.latent_width = model.inputs[0].partial_shape[1].get_length()
        model.reshape([batch, self.latent_width])
        self.compiled = core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": "f32" if self.precision == "fp32" else "bf16",
            },
        )
        self.queue = openvino.AsyncInferQueue(self.compiled)

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.array(self.compiled([latents])[0])

    def batches(self, batch: int) -> Iterator[int]:
        finished: list[NDArray[np.uint8]] = []
        # The request reuses its memory for the next batch, so copy the images out.
        self.queue.set_callback(
            lambda request, _: finished.append(request.output_tensors[0].data.copy())
        )
        try:
            while True:
                self.queue.start_async({0: self.noise(batch)})
                while finished:
                    yield len(finished.pop())
        finally:
            self.queue.wait_all()


class StockOpenVinoBf16(StockOpenVino):
    """OpenVINO with its bf16 hint."""

    precision = "bf16"


class Ours(Contender):
    """This runtime, streaming."""

    name = "generator-zoo"
    ours = True
    backend: ClassVar[str] = "auto"

    def prepare(self, batch: int) -> None:
        import runtime

        self.generator = runtime.Generator(
            self.engine, backend=self.backend, precision=self.precision, instances=self.cores
        )
        self.latent_width = self.generator.latent_width

    def decode(self, latents: NDArray[np.float32]) -> NDArray[np.uint8]:
        return self.generator.decode(latents)

    def batches(self, batch: int) -> Iterator[int]:
        with self.generator.stream(2**62, batch=batch) as stream:
            for images in stream:
                yield len(images)


class OursOnnxRuntime(Ours):
    """This runtime on ONNX Runtime."""

    name = "generator-zoo (onnxruntime)"
    backend = "onnxruntime"


class OursBf16(Ours):
    """This runtime in bf16."""

    precision = "bf16"


CONTENDERS: dict[str, type[Contender]] = {
    "torch": TorchEager,
    "torch-compile": TorchCompile,
    "onnxruntime": StockOnnxRuntime,
    "openvino": StockOpenVino,
    "zoo-onnxruntime": OursOnnxRuntime,
    "zoo": Ours,
    "torch-bf16": TorchEagerBf16,
    "torch-compile-bf16": TorchCompileBf16,
    "openvino-bf16": StockOpenVinoBf16,
    "zoo-bf16": OursBf16,
}
