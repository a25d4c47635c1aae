"""Contenders of the GPU benchmark: the base class, and those of this project.

Each loads one model on one GPU and produces batches of uint8 N×H×W×C images from its own noise. The
same work is timed for all: drawing the noise on the GPU, the network, the conversion to uint8, and
the copy into pinned host memory, which the results "device" leave out. Ours copies once more, from
pinned memory into an array that the caller keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ArgumentError, BackendUnavailableError

Images = NDArray[np.uint8]
Where = Literal["numpy", "device"]
WHERE: tuple[Where, ...] = ("numpy", "device")

BATCHES_A_CALL = 64
"""Maximum number of batches per call with results on the device."""
IMAGES_A_CALL = 4096
"""Maximum number of images per call, unless a single batch is larger."""


class NotInstalled(Exception):
    """A contender that is not available on this machine; the results list the reason."""


@dataclass(frozen=True)
class Case:
    """Arguments of a contender.

    engine: the model's file; device: the runtime's device, "cuda:0", since the process sees one
    GPU; peer_device: the device of PyTorch and ONNX Runtime, "cpu" in a rehearsal; batches: all
    batch sizes of the run; folder: for temporary files, kept until the end of the run.
    """

    engine: str
    device: str
    peer_device: str
    batches: tuple[int, ...]
    folder: str


class Contender:
    """Base class of contenders."""

    name: ClassVar[str]
    precision: ClassVar[str] = "fp32"
    ours: ClassVar[bool] = False
    draws_contract: ClassVar[bool] = True
    """True if its own noise follows the noise contract; otherwise the check passes noise in."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def open(self) -> None:
        """Load the model. Raises NotInstalled."""
        raise NotImplementedError

    def prepare(self, batch: int) -> None:
        """Prepare for batches of this size."""

    def contract(self, batch: int, seed: int, n: int) -> Images:
        """Return images 0 … n - 1 of the run with this seed, as runtime.Generator computes them."""
        raise NotImplementedError

    def requests(self, batch: int) -> Iterator[Images]:
        """Yield batches in host memory forever, each started when it is requested."""
        raise NotImplementedError

    def batches(self, batch: int, where: Where) -> Iterator[int]:
        """Start batches as fast as possible, forever; yield the number of images in each.

        They may be unfinished until `finish` returns. Raises NotInstalled if this contender cannot
        leave results on the device.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """Wait until all started batches are finished."""

    def facts(self, batch: int) -> dict[str, Any]:
        """Return the peak memory for this batch size, and notes."""
        return {}

    def launches(self, batch: int) -> dict[str, Any]:
        """Return `launches`, `graphs` and `kernels` of a batch, as in `gpu_limits.Timed`.

        Called after all measurements, since a profiler slows down later work.
        """
        return {}


class Ours(Contender):
    """This runtime: `sample` for one request, `stream` for many."""

    ours = True
    generator: Any

    def contract(self, batch: int, seed: int, n: int) -> Images:
        images: Images = self.generator.sample(n, seed=seed, batch=batch)
        return images

    def requests(self, batch: int) -> Iterator[Images]:
        first = 0
        while True:
            yield self.generator.sample(batch, seed=1, first=first, batch=batch)
            first += batch

    def batches(self, batch: int, where: Where) -> Iterator[int]:
        if where == "device":
            yield from self._on_device(batch)
        with self.generator.stream(2**62, seed=2, batch=batch) as stream:
            for images in stream:
                yield len(images)

    def _on_device(self, batch: int) -> Iterator[int]:
        # A call waits for its images; several batches in one call let the instances overlap.
        n = batch * max(1, min(BATCHES_A_CALL, IMAGES_A_CALL // batch))
        first = 0
        images: Any = "device"
        while True:
            # The first call allocates an array on the device, the next ones write into it.
            try:
                images = self.generator.sample(n, seed=3, first=first, batch=batch, out=images)
            except (ArgumentError, BackendUnavailableError) as error:
                raise NotInstalled(str(error)) from error
            first += n
            yield n

    def finish(self) -> None:
        """Wait for the device with PyTorch, if it is installed."""
        try:
            import torch
        except (ImportError, OSError):
            return
        if torch.cuda.is_available():
            torch.cuda.synchronize(self.case.device)

    def facts(self, batch: int) -> dict[str, Any]:
        return {
            "peak_device_bytes": self.generator.peak_device_bytes,
            "peak_is": "of inputs, outputs and what lies between, without the weights",
            "instances": self.generator.instances,
            "backend": self.generator.backend,
        }


class OursPlan(Ours):
    """A TensorRT plan in this runtime; subclasses set the target and the precision."""

    target: ClassVar[str]

    def open(self) -> None:
        import runtime
        from export.plan import pipeline, targets
        from export.plan.pipeline import Checking

        if self.target not in targets.find_installed():
            raise NotInstalled(f"{self.target} is not installed")
        plan = Path(self.case.folder) / f"{self.target}-{self.precision}.plan"
        self.notes: list[str] = []
        options = pipeline.Options(
            target=self.target, precision=self.precision, batch=self.case.batches
        )
        engine = Path(self.case.engine)
        # The benchmark checks all contenders' images itself, and times the build alone.
        (self.plan,) = pipeline.export(
            engine, plan, options, progress=self.notes.append, checking=Checking(run=False)
        )
        try:
            self.generator = runtime.Generator(plan, device=self.case.device)
        except BackendUnavailableError as error:
            raise NotInstalled(str(error)) from error

    def facts(self, batch: int) -> dict[str, Any]:
        return super().facts(batch) | {
            "layers": self.plan.layers,
            "fp32_layers": len(self.plan.fp32_layers),
            "plan_bytes": self.plan.size,
            "build_seconds": self.plan.seconds,
            "notes": [note for note in self.notes if not note.startswith("building")],
        }

    def launches(self, batch: int) -> dict[str, Any]:
        streams = self.generator.manifest.get("noise", {}).get("streams", {})
        drawn = len(streams.get("layers", [])) + ("latent" in streams)
        return {
            # C++ replays one graph: the noise, the network, the copies.
            "launches": 0,
            "graphs": 1,
            "kernels": self.plan.layers + drawn,
            "kernels_are": "layers of the plan and streams of noise",
        }


class OursOnnxRuntime(Ours):
    """The engine file itself in this runtime's ONNX Runtime backend for CUDA."""

    name = "generator-zoo (onnxruntime)"

    def open(self) -> None:
        import runtime

        try:
            self.generator = runtime.Generator(self.case.engine, device=self.case.device)
        except BackendUnavailableError as error:
            raise NotInstalled(str(error)) from error


def _plans() -> dict[str, type[Contender]]:
    from export.plan.precision import PRECISIONS
    from runtime.plans import MODULES

    titles = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT-RTX"}
    return {
        f"zoo-{target}-{precision}": type(
            "OursPlan",
            (OursPlan,),
            {
                "name": f"generator-zoo ({titles.get(target, target)})",
                "target": target,
                "precision": precision,
                "__doc__": f"A plan of {target} in {precision}.",
            },
        )
        for target in MODULES
        for precision in PRECISIONS
    }


def contenders() -> dict[str, type[Contender]]:
    """Return all contenders by key, peers first, without importing the packages they measure."""
    from benchmarks.gpu_peers import PEERS

    return {**PEERS, "zoo-onnxruntime": OursOnnxRuntime, **_plans()}
