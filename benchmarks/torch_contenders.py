"""PyTorch on a CPU, eager and compiled, as peers: inference mode, channels_last, all cores.

The noise comes from `torch.randn`, outside of the compiled function: PyTorch draws it in vectors,
the compiled code one number after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.contenders import Contender
from benchmarks.cpu_cases import Arrays, Case

Tensors = dict[str, Any]
"""Inputs of the graph by name, as tensors."""


def load_network(case: Case) -> Callable[[Tensors], tuple[Any, ...]]:
    """Load the network of an engine as a function of the graph's inputs; it returns its outputs.

    Raises RuntimeError for a role that has no PyTorch loader for inference.
    """
    import torch

    from zoo.models.weights import load_engine, load_generator

    path = Path(case.engine)
    if case.role == "generator":
        network: Any = load_generator(path)[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        bounded = network.bounded

        def generate(inputs: Tensors) -> tuple[Any, ...]:
            latent, more = inputs["latent"], ()
            if "label" in inputs:
                more = (inputs["label"],)
            elif len(inputs) > 1:
                more = (1.0, lambda stream, width: inputs[f"noise.{stream}"])
            return (_to_levels(network(latent, *more), bounded),)

        return generate
    # An encoder's or a classifier's file may lie beside the main one.
    main = path.with_name(f"{path.stem.partition('.')[0]}.onnx")
    if case.role not in ("translator", "encoder", "classifier"):
        raise RuntimeError(f"no PyTorch loader for inference: the role {case.role}")
    model: Any = load_engine(main)[0].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if case.role == "encoder":

        def encode(inputs: Tensors) -> tuple[Any, ...]:
            outputs = model.encoder(_from_levels(inputs["image"]))
            parts = outputs if isinstance(outputs, tuple) else (outputs,)
            return tuple(part.float() for part in parts)

        return encode
    if case.role == "classifier":
        classifier = getattr(model, "classifier", model)
        return lambda inputs: (classifier.scores(_from_levels(inputs["image"])).float(),)
    # A U-Net's results are in [0, 1], the others clip theirs.

    def translate(inputs: Tensors) -> tuple[Any, ...]:
        more: tuple[Any, ...] = ()
        if "attributes" in inputs:
            more = (inputs["attributes"],)
        elif len(inputs) > 1:
            more = (lambda stream, width: inputs[f"noise.{stream}"],)
        return (_to_levels(model.translate(_from_levels(inputs["input"]), *more), bounded=True),)

    return translate


def _from_levels(images: Any) -> Any:
    """Convert uint8 [N, H, W, C] to floats [N, C, H, W] in [0, 1], in channels_last."""
    return images.permute(0, 3, 1, 2).float() / 255


def _to_levels(images: Any, bounded: bool) -> Any:
    """Convert floats [N, C, H, W] to uint8 [N, H, W, C]."""
    import torch

    # In bfloat16 255.5 is 256, which is black as a byte.
    images = images.float()
    if not bounded:
        images = images.clamp(0, 1)
    return (images * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class TorchEager(Contender):
    """PyTorch, eager."""

    name = "PyTorch eager"

    def prepare(self, batch: int) -> None:
        import torch

        self.torch = torch
        torch.set_num_threads(self.case.cores)
        self.run = load_network(self.case)

    def compute(self, inputs: Arrays, first: int) -> list[NDArray[Any]]:
        tensors = {name: self.torch.from_numpy(array) for name, array in inputs.items()}
        with self.context():
            return [output.numpy() for output in self.run(tensors)]

    def batches(self, batch: int) -> Iterator[int]:
        torch = self.torch
        fixed = {name: torch.from_numpy(a) for name, a in self.case.draw_fixed(batch).items()}
        drawn = [entry for entry in self.case.inputs if entry.is_noise]
        with self.context():
            while True:
                noise = {entry.name: torch.randn(batch, *entry.shape) for entry in drawn}
                for output in self.run({**fixed, **noise}):
                    output.numpy()
                yield batch

    @contextmanager
    def context(self) -> Iterator[None]:
        with self.torch.inference_mode():
            yield


class TorchEagerBf16(TorchEager):
    """PyTorch with CPU autocast to bfloat16."""

    precision = "bf16"

    @contextmanager
    def context(self) -> Iterator[None]:
        with self.torch.inference_mode(), self.torch.autocast("cpu", self.torch.bfloat16):
            yield


class TorchCompile(TorchEager):
    """torch.compile with max-autotune and frozen weights; the conversion of images is inside."""

    name = "torch.compile"

    def prepare(self, batch: int) -> None:
        super().prepare(batch)
        import torch._inductor.config as inductor

        inductor.freezing = True
        self.torch._dynamo.reset()
        self.run = self.torch.compile(self.run, mode="max-autotune-no-cudagraphs", dynamic=False)
        batches = self.batches(batch)
        for _ in range(3):
            next(batches)


class TorchCompileBf16(TorchCompile):
    """torch.compile under CPU autocast to bfloat16."""

    precision = "bf16"
    context = TorchEagerBf16.context
