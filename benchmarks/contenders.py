"""Contenders of the throughput benchmark on CPUs.

Each contender loads one model and computes batches in host memory (uint8 N×H×W×C images, or the
floats of encoders and classifiers), the way a user of that tool would write it and its
documentation recommends for throughput. A generator's contender draws its own noise. Each imports
the modules it needs in its own process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.cpu_cases import Arrays, Case


class Contender:
    """Base class of contenders."""

    name: ClassVar[str]
    precision: ClassVar[str] = "fp32"
    ours: ClassVar[bool] = False

    def __init__(self, case: Case) -> None:
        self.case = case
        self.rng = np.random.default_rng(0)

    def prepare(self, batch: int) -> None:
        """Prepare for batches of this size."""
        raise NotImplementedError

    def compute(self, inputs: Arrays, first: int) -> list[NDArray[Any]]:
        """Return the outputs for inputs of `batch` rows, for the check that all contenders agree.

        Row 0 is sample `first` of seed 0.
        """
        raise NotImplementedError

    def batches(self, batch: int) -> Iterator[int]:
        """Produce batches forever; yield the number of images in each finished one."""
        raise NotImplementedError


class Ours(Contender):
    """This runtime: a stream of a generator's images, else a thread for each core that asks."""

    name = "generator-zoo"
    ours = True
    backend: ClassVar[str] = "auto"

    def prepare(self, batch: int) -> None:
        import runtime

        kind = {
            "encoder": runtime.Encoder,
            "classifier": runtime.Classifier,
            "translator": runtime.Translator,
        }.get(self.case.role, runtime.Generator)
        self.engine: Any = kind(
            self.case.engine,
            backend=self.backend,
            precision=self.precision,
            instances=self.case.cores,
        )

    def compute(self, inputs: Arrays, first: int) -> list[NDArray[Any]]:
        engine, role = self.engine, self.case.role
        if role == "translator":
            attributes = inputs.get("attributes")
            return [engine.translate(inputs["input"], attributes, seed=0, first=first)]
        if role == "encoder":
            images = inputs["image"]
            return [engine.embed(images)] if engine.deterministic else list(engine.encode(images))
        if role == "classifier":
            return [engine.classify(inputs["image"])]
        return [engine.decode(inputs["latent"], seed=0, first=first, labels=inputs.get("label"))]

    def batches(self, batch: int) -> Iterator[int]:
        if self.case.role == "generator":
            with self.engine.stream(2**62, batch=batch) as stream:
                for images in stream:
                    yield len(images)
        else:
            yield from self._ask_from_threads(batch)

    def _ask_from_threads(self, batch: int) -> Iterator[int]:
        inputs, done = self.case.draw_fixed(batch), SimpleQueue[int | Exception]()
        stopped = threading.Event()

        def ask() -> None:
            try:
                while not stopped.is_set():
                    done.put(len(self.compute(inputs, 0)[0]))
            except Exception as error:
                done.put(error)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(self.case.cores)]
        for thread in threads:
            thread.start()
        try:
            while True:
                count = done.get()
                if isinstance(count, Exception):
                    raise count
                yield count
        finally:
            stopped.set()
            for thread in threads:
                thread.join()


class OursOnnxRuntime(Ours):
    """This runtime on ONNX Runtime."""

    name = "generator-zoo (onnxruntime)"
    backend = "onnxruntime"


class OursBf16(Ours):
    """This runtime in bf16."""

    precision = "bf16"


class OursInt8(Ours):
    """This runtime in int8, for engines that have the ranges of their activations."""

    precision = "int8"


class OursOpenVinoBf16(Ours):
    """This runtime on OpenVINO, in bf16."""

    name = "generator-zoo (openvino)"
    backend = "openvino"
    precision = "bf16"


class StockOnnxRuntime(Contender):
    """ONNX Runtime's Python package, one session with all cores."""

    name = "ONNX Runtime"

    def prepare(self, batch: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.case.cores
        self.session = onnxruntime.InferenceSession(
            self.case.graph, options, providers=["CPUExecutionProvider"]
        )

    def compute(self, inputs: Arrays, first: int) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self.session.run(None, inputs)
        return outputs

    def batches(self, batch: int) -> Iterator[int]:
        fixed = self.case.draw_fixed(batch)
        while True:
            self.session.run(None, {**fixed, **self.case.draw_noise(self.rng, batch)})
            yield batch


class StockOpenVino(Contender):
    """OpenVINO's Python package: throughput hint, static batch, asynchronous queue."""

    name = "OpenVINO"

    def prepare(self, batch: int) -> None:
        import openvino

        core = openvino.Core()
        model = core.read_model(self.case.graph)
        model.reshape({entry.name: [batch, *entry.shape] for entry in self.case.inputs})
        self.compiled = core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": "f32" if self.precision == "fp32" else "bf16",
            },
        )
        self.queue = openvino.AsyncInferQueue(self.compiled)

    def compute(self, inputs: Arrays, first: int) -> list[NDArray[Any]]:
        results = self.compiled(inputs)
        return [np.array(results[place]) for place in range(len(self.case.outputs))]

    def batches(self, batch: int) -> Iterator[int]:
        fixed = self.case.draw_fixed(batch)
        finished: list[list[NDArray[Any]]] = []
        # The request reuses its memory for the next batch, so copy the outputs out.
        self.queue.set_callback(
            lambda request, _: finished.append(
                [tensor.data.copy() for tensor in request.output_tensors]
            )
        )
        try:
            while True:
                self.queue.start_async({**fixed, **self.case.draw_noise(self.rng, batch)})
                while finished:
                    yield len(finished.pop()[0])
        finally:
            self.queue.wait_all()


class StockOpenVinoBf16(StockOpenVino):
    """OpenVINO with its bf16 hint."""

    precision = "bf16"
