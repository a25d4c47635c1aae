"""The ways to make images on a GPU that are measured against each other: ours, and their base.

Each loads one model on one GPU and makes batches of uint8 N×H×W×C images, drawing the noise itself.
The same work is counted for all: noise drawn on the GPU, the network, the conversion to uint8, and
the copy into pinned host memory; with the results "device" that copy is left out. Ours copies once
more, from pinned memory into an array that the caller keeps.
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
"""The same, where a batch is not larger."""


class NotInstalled(Exception):
    """A contender that this machine has not; the reason is listed with the results."""


@dataclass(frozen=True)
class Case:
    """What a contender is given.

    engine: the model's file; device: "cuda:0", of the runtime, as the process sees one GPU only;
    peer_device: of PyTorch and ONNX Runtime, the same but in a rehearsal; batches: all sizes that
    will be asked for; folder: for files of its own, until the end of the run.
    """

    engine: str
    device: str
    peer_device: str
    batches: tuple[int, ...]
    folder: str


class Contender:
    """One way to make images on a GPU."""

    name: ClassVar[str]
    precision: ClassVar[str] = "fp32"
    ours: ClassVar[bool] = False
    draws_contract: ClassVar[bool] = True
    """Whether its own noise is that of the noise contract; else it is given such noise to check."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def open(self) -> None:
        """Load the model. Raises NotInstalled."""
        raise NotImplementedError

    def prepare(self, batch: int) -> None:
        """Get ready for batches of this size."""

    def contract(self, batch: int, seed: int, n: int) -> Images:
        """Images 0 … n - 1 of the run with this seed, as runtime.Generator has them."""
        raise NotImplementedError

    def requests(self, batch: int) -> Iterator[Images]:
        """Batches without end, each begun when it is asked for and in host memory when it comes."""
        raise NotImplementedError

    def batches(self, batch: int, where: Where) -> Iterator[int]:
        """Batches without end, as fast as they go; the number of images in each.

        They need not be finished before `finish` returns. Raises NotInstalled for results that
        this contender cannot leave on the device.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """Wait until all that was begun is done."""

    def facts(self, batch: int) -> dict[str, Any]:
        """Peak memory of what was done for this batch size, and notes."""
        return {}

    def launches(self, batch: int) -> dict[str, Any]:
        """What is launched for a batch: `launches`, `graphs`, `kernels` of `gpu_limits.Timed`.

        Asked for when all times are taken: a profiler slows down what comes after it.
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
        # A call waits for its images: several batches in one let the instances take turns.
        n = batch * max(1, min(BATCHES_A_CALL, IMAGES_A_CALL // batch))
        first = 0
        images: Any = "device"
        while True:
            # The first call makes an array on the device, the next ones write into it.
            try:
                images = self.generator.sample(n, seed=3, first=first, batch=batch, out=images)
            except (ArgumentError, BackendUnavailableError) as error:
                raise NotInstalled(str(error)) from error
            first += n
            yield n

    def finish(self) -> None:
        """Results on the device may still be computed; PyTorch, if it is there, waits for all."""
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
    """A TensorRT plan in this runtime; the subclasses say whose and in what precision."""

    target: ClassVar[str]

    def open(self) -> None:
        import runtime
        from export.plan import pipeline, targets
        from export.plan.pipeline import Checking

        if self.target not in targets.installed():
            raise NotInstalled(f"{self.target} is not installed")
        plan = Path(self.case.folder) / f"{self.target}-{self.precision}.plan"
        self.notes: list[str] = []
        options = pipeline.Options(
            target=self.target, precision=self.precision, batch=self.case.batches
        )
        engine = Path(self.case.engine)
        # The images are compared here for all contenders, and the build's time is that of one.
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
    """All of them by key, the peers first; importing none of the packages that they measure."""
    from benchmarks.gpu_peers import PEERS

    return {**PEERS, "zoo-onnxruntime": OursOnnxRuntime, **_plans()}
