"""PyTorch on a GPU, eager and compiled, as peers.

Set up as its documentation recommends: inference mode, channels_last, cuDNN benchmark mode,
max-autotune with CUDA graphs, copies that overlap computation. The noise comes from `torch.randn`
on the GPU. TF32 is off for fp32.

On a CPU, where the tests run, torch.compile uses its default mode: max-autotune takes minutes and
has no CUDA graphs there. Everything else is the same code.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_contenders import Contender, Images, NotInstalled, Where
from benchmarks.gpu_device import HostCopies, TorchDevice

PROFILED = 20
"""Number of batches in the profile that counts launches."""
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchCooperativeKernel")
GRAPHS = ("cudaGraphLaunch", "cuGraphLaunch")
MOVES = ("memcpy", "memset")


class TorchEager(Contender):
    """PyTorch, inference mode, channels_last."""

    name = "PyTorch eager"
    draws_contract = False
    static = False
    """True if every batch is written to the same memory."""

    def open(self) -> None:
        try:
            self.device = TorchDevice(self.case.peer_device)
        except (ImportError, RuntimeError) as error:
            raise NotInstalled(str(error)) from error
        from zoo.models.weights import load_generator

        torch = self.torch = self.device.torch
        kinds = {"fp16": torch.float16, "bf16": torch.bfloat16}
        self.dtype = kinds.get(self.precision, torch.float32)
        torch.backends.cudnn.benchmark = True
        self.device.set_tf32(self.precision == "tf32")
        network, config = load_generator(Path(self.case.engine))
        use_idiomatic_layers(network)
        self.network = network.to(self.device.device, self.dtype).to(
            memory_format=torch.channels_last
        )
        self.width: int = config["config"]["latent"]
        self.noise_widths: tuple[int, ...] = tuple(getattr(network, "noise_widths", ()))

    def prepare(self, batch: int) -> None:
        self.device.reset_peak()
        self.images, self.step = self.forward, lambda: self.sample(batch)

    def forward(self, latents: Any, noises: list[Any]) -> Any:
        """Return images uint8 [N, H, W, C] for latents [N, D] and each layer's noise [N, width]."""
        torch = self.torch
        if noises:
            from zoo.models.generators import FIRST_LAYER_STREAM

            image = self.network(
                latents, noise=lambda stream, width: noises[stream - FIRST_LAYER_STREAM]
            )
        else:
            image = self.network(latents)
        image = self.widened(image)
        if not self.network.bounded:
            image = image.clamp(0, 1)
        image = image * 255 + 0.5
        return image.to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def widened(self, image: Any) -> Any:
        """Return the image unchanged: computing levels in its precision saves a kernel."""
        return image

    def sample(self, batch: int) -> Any:
        """Return a batch of images on the device."""
        randn, kind = self.torch.randn, {"device": self.device.device, "dtype": self.dtype}
        noises = [randn(batch, width, **kind) for width in self.noise_widths]
        return self.forward(randn(batch, self.width, **kind), noises)

    def inference(self) -> AbstractContextManager[Any]:
        """Return the context for all calls."""
        mode: AbstractContextManager[Any] = self.torch.inference_mode()
        return mode

    def contract(self, batch: int, seed: int, n: int) -> Images:
        from runtime.noise import normals
        from zoo.models.generators import FIRST_LAYER_STREAM

        def noise(first: int, stream: int, width: int) -> Any:
            values = self.torch.from_numpy(normals(seed, first, batch, width, stream))
            return values.to(self.device.device, self.dtype)

        parts = []
        with self.inference():
            for first in range(0, n, batch):
                noises = [
                    noise(first, FIRST_LAYER_STREAM + layer, width)
                    for layer, width in enumerate(self.noise_widths)
                ]
                images = self.images(noise(first, 0, self.width), noises)
                # A compiled function may write its next result to the same place.
                parts.append(images.cpu().numpy().copy())
        return np.concatenate(parts)[:n]

    def requests(self, batch: int) -> Iterator[Images]:
        with self.inference():
            buffer = self.device.host_buffer(self.step())
            while True:
                buffer.copy_(self.step(), non_blocking=True)
                self.device.synchronise()
                yield buffer.numpy()

    def batches(self, batch: int, where: Where) -> Iterator[int]:
        with self.inference():
            copies = HostCopies(self.device, self.step())
            while True:
                images = self.step()
                if where == "numpy":
                    copies.put(images.clone() if self.static else images)
                yield batch

    def finish(self) -> None:
        self.device.synchronise()

    def facts(self, batch: int) -> dict[str, Any]:
        return {
            "peak_device_bytes": self.device.peak_bytes(),
            "peak_is": "held by PyTorch's allocator, with the weights",
        }

    def launches(self, batch: int) -> dict[str, Any]:
        if not self.device.cuda:
            return {}
        profiler = self.torch.profiler
        kinds = [profiler.ProfilerActivity.CPU, profiler.ProfilerActivity.CUDA]
        with self.inference(), profiler.profile(activities=kinds) as profile:
            for _ in range(PROFILED):
                self.step()
            self.device.synchronise()
        on_device = self.torch.autograd.DeviceType.CUDA
        return count_launches(
            (entry.key, entry.device_type == on_device, entry.count)
            for entry in profile.key_averages()
            # Named ranges are listed for the device too, but are not kernels.
            if not getattr(entry, "is_user_annotation", False)
        )


def count_launches(
    entries: Iterable[tuple[str, bool, int]], batches: int = PROFILED
) -> dict[str, Any]:
    """Count the kernel launches, graph launches and kernels per batch in a profile.

    entries: (name, True if it ran on the device, count over all `batches`).
    """
    launches = graphs = kernels = 0
    for name, on_device, count in entries:
        if on_device:
            kernels += 0 if name.lower().startswith(MOVES) else count
        elif name.startswith(GRAPHS):
            graphs += count
        elif name.startswith(LAUNCHES):
            launches += count
    return {
        "launches": launches / batches,
        "graphs": graphs / batches,
        "kernels": kernels / batches,
        "kernels_are": "counted by the profiler",
    }


class TorchCompile(TorchEager):
    """torch.compile with max-autotune, which replays CUDA graphs; noise and uint8 inside."""

    name = "torch.compile"

    def prepare(self, batch: int) -> None:
        self.device.reset_peak()
        torch = self.torch
        torch._dynamo.reset()
        mode = "max-autotune" if self.device.cuda else "default"
        self.static = self.device.cuda
        self.images = torch.compile(self.forward, mode=mode, dynamic=False)
        compiled = torch.compile(lambda: self.sample(batch), mode=mode, dynamic=False)

        def step() -> Any:
            # Allow the graph to overwrite the previous batch.
            torch.compiler.cudagraph_mark_step_begin()
            return compiled()

        self.step = step
        with self.inference():
            for _ in range(4):
                self.step()

    def widened(self, image: Any) -> Any:
        """Return the image in fp32; the compiler fuses the conversion."""
        return image.float()


def use_idiomatic_layers(network: Any) -> None:
    """Replace, in place, layers written for the exporter by the usual PyTorch code."""
    from torch import nn

    from zoo.models.style_layers import EPSILON, PlainPixelNorm

    class PixelNorm(nn.Module):
        """x · rsqrt(mean of x² over the channels + ε)."""

        def forward(self, x: Any) -> Any:
            """Return x, normalised."""
            return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()

    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, PlainPixelNorm):
                setattr(module, name, PixelNorm())
