"""Arrays on a GPU, for the tests that need one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime import cuda


def cuda_torch() -> Any:
    """PyTorch with CUDA, which holds the arrays; skips the test where it has none."""
    module = pytest.importorskip("torch")
    if not module.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    return module


class Arrays:
    """Arrays on the device, and the operators on them, as NumPy arrays."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.types = {
            "fp32": torch.float32,
            "fp16": torch.float16,
            "bf16": torch.bfloat16,
        }

    def put(self, value: Any) -> Any:
        """An array on the device."""
        return self.torch.from_numpy(np.ascontiguousarray(value)).cuda()

    def key(self, seed: int, first: int) -> Any:
        """A noise key; the 64 bits of each number as they are."""
        return self.put(np.array([seed, first], np.uint64).view(np.int64))

    def empty(self, shape: tuple[int, ...], kind: str) -> tuple[Any, Any]:
        """A new tensor, full of NaN, and the view of it that the operators take."""
        result = self.torch.full(shape, float("nan"), dtype=self.types[kind], device="cuda")
        return result, result.view(self.torch.int16) if kind == "bf16" else result

    def sample(
        self,
        key: Any,
        shape: tuple[int, int],
        kind: str = "fp32",
        mu: Any = None,
        logvar: Any = None,
        stream: int = 0,
    ) -> Any:
        """`cuda.reparametrized_sample` into a new tensor."""
        result, view = self.empty(shape, kind)
        queue = self.torch.cuda.current_stream().cuda_stream
        cuda.reparametrized_sample(view, key, mu, logvar, stream, queue)
        return result
