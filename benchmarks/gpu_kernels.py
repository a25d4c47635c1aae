"""Throughput of the CUDA kernels, compared with the device's limits.

    python -m benchmarks.gpu_kernels            # make bench-gpu

For each operator, type and size: the bandwidth of its minimum reads and writes as a share of the
bandwidth of a copy in the same run, and the speed-up over PyTorch's own generator (`torch.randn`).
Results are first checked against the CPU. Times are from CUDA events around many launches, the
median of several rounds.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import numpy as np

import runtime
from benchmarks.gpu_device import TorchDevice, slug
from benchmarks.machine import describe
from benchmarks.studies import RESULTS
from runtime import cuda
from zoo.cli import Command

LAUNCHES = 50
ROUNDS = 7
COPIED = 1 << 28
"""Bytes of the copy, more than fit in the caches."""


def _seconds(device: TorchDevice, call: Callable[[], object]) -> float:
    return device.seconds(call, LAUNCHES, ROUNDS)


def sampling(device: TorchDevice, copy: float, rows: int, width: int, kind: str) -> dict[str, Any]:
    """Measure `reparametrized_sample` for the prior and for a posterior."""
    torch = device.torch
    types = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    out = torch.empty((rows, width), dtype=types[kind], device="cuda")
    view = out.view(torch.int16) if kind == "bf16" else out
    key = torch.tensor([7, 0], device="cuda")
    mu, logvar = torch.randn((2, rows, width), device="cuda")
    queue = torch.cuda.current_stream().cuda_stream
    cuda.reparametrized_sample(view, key, queue=queue)
    check = min(rows, 100)
    expected = torch.from_numpy(runtime.noise.normals(7, 0, check, width)).to(out.dtype)
    if not torch.equal(out[:check].cpu(), expected):
        raise click.ClickException(f"{kind} samples differ from the CPU's")
    written = out.nbytes
    prior = _seconds(device, lambda: cuda.reparametrized_sample(view, key, queue=queue))
    posterior = _seconds(
        device, lambda: cuda.reparametrized_sample(view, key, mu, logvar, queue=queue)
    )
    theirs = _seconds(device, lambda: out.normal_())
    return {
        "operator": "ReparametrizedSample",
        "rows": rows,
        "width": width,
        "type": kind,
        "normals_per_second": rows * width / prior,
        "share_of_copy": written / prior / copy,
        "share_of_copy_posterior": (written + 2 * mu.nbytes) / posterior / copy,
        "times_pytorch_normal": theirs / prior,
    }


def interpolation(
    device: TorchDevice, copy: float, rows: int, steps: int, width: int
) -> dict[str, Any]:
    """Measure `batched_interpolate` in both modes, fp32."""
    torch = device.torch
    a, b = torch.randn((2, rows, width), device="cuda")
    t = torch.linspace(0, 1, steps, device="cuda")
    out = torch.empty((rows, steps, width), device="cuda")
    queue = torch.cuda.current_stream().cuda_stream
    moved = out.nbytes + a.nbytes + b.nbytes
    shares = {}
    for mode in ("linear", "spherical"):
        cuda.batched_interpolate(out, a, b, t, mode, queue)
        operands = [value.cpu().numpy() for value in (a[:4], b[:4], t)]
        expected = runtime.ops.batched_interpolate(*operands, mode)
        np.testing.assert_allclose(out[:4].cpu().numpy(), expected, rtol=1e-4, atol=1e-5)
        time = _seconds(
            device, lambda mode=mode: cuda.batched_interpolate(out, a, b, t, mode, queue)
        )
        shares[f"share_of_copy_{mode}"] = moved / time / copy
    return {
        "operator": "BatchedInterpolate",
        "rows": rows,
        "steps": steps,
        "width": width,
    } | shares


def levels(device: TorchDevice, copy: float, shape: tuple[int, ...]) -> dict[str, Any]:
    """Measure `image_levels`."""
    torch = device.torch
    images = torch.rand(shape, device="cuda")
    out = torch.empty((shape[0], *shape[2:], shape[1]), dtype=torch.uint8, device="cuda")
    queue = torch.cuda.current_stream().cuda_stream
    cuda.image_levels(out, images, queue)
    expected = (images * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1)
    if not torch.equal(out, expected):
        raise click.ClickException("levels differ from PyTorch's")
    time = _seconds(device, lambda: cuda.image_levels(out, images, queue))
    return {
        "operator": "image levels",
        "shape": list(shape),
        "share_of_copy": (images.nbytes + out.nbytes) / time / copy,
    }


@click.command(cls=Command)
def main() -> None:
    """Measure, print, and write benchmarks/results/NAME-kernels.json for the GPU's name."""
    gpu, device = cuda.devices()[0], TorchDevice("cuda")
    torch = device.torch
    source = torch.empty(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = 2 * COPIED / _seconds(device, lambda: target.copy_(source))
    rows = [
        sampling(device, copy, count, width, kind)
        for count, width in ((64, 64), (1024, 64), (65536, 64), (2**20, 64), (4096, 16384))
        for kind in ("fp32", "fp16", "bf16")
    ]
    rows += [interpolation(device, copy, *size) for size in ((64, 10, 64), (65536, 16, 64))]
    rows += [levels(device, copy, shape) for shape in ((64, 3, 64, 64), (4096, 3, 64, 64))]
    result = {
        "gpu": vars(gpu),
        "machine": describe(),
        "copy_bytes_per_second": copy,
        "rows": rows,
    }
    path = RESULTS / f"{slug(gpu.name)}-kernels.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        click.echo(
            ", ".join(
                f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()
            )
        )
    click.echo(f"copy: {copy / 1e9:,.0f} GB/s read and written; {path}")


if __name__ == "__main__":
    main()
