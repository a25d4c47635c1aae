"""Arrays on a GPU, for the tests that need one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime import cuda


def cuda_torch() -> Any:
    """Return PyTorch with CUDA; skip the test without it."""
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    return module


class Arrays:
    """Maker of PyTorch arrays on the device for the operators of `runtime.cuda`."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.types = {
            "fp32": torch.float32,
            "fp16": torch.float16,
            "bf16": torch.bfloat16,
        }

    def put(self, value: Any) -> Any:
        """Copy an array to the device."""
        return self.torch.from_numpy(np.ascontiguousarray(value)).cuda()

    def key(self, seed: int, first: int) -> Any:
        """Make a noise key from two unsigned 64-bit numbers."""
        return self.put(np.array([seed, first], np.uint64).view(np.int64))

    def empty(self, shape: tuple[int, ...], kind: str) -> tuple[Any, Any]:
        """Make a tensor full of NaN; return it and the view that the operators accept."""
        tensor = self.torch.full(shape, float("nan"), dtype=self.types[kind], device="cuda")
        return tensor, tensor.view(self.torch.int16) if kind == "bf16" else tensor

    def sample(
        self,
        key: Any,
        shape: tuple[int, int],
        kind: str = "fp32",
        mu: Any = None,
        logvar: Any = None,
        stream: int = 0,
    ) -> Any:
        """Call `cuda.reparametrized_sample` with a new tensor."""
        tensor, view = self.empty(shape, kind)
        queue = self.torch.cuda.current_stream().cuda_stream
        cuda.reparametrized_sample(view, key, mu, logvar, stream, queue)
        return tensor
