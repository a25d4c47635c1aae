"""A plan that draws its noise with the plugins, built and run by TensorRT alone, on a GPU.

`python plugin_runs.py TARGET ENGINE OUT.npy` is a process of its own: see test_plan_plugins.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.plan import pipeline, targets
from zoo.engines import WEIGHTS

BUCKETS = (1, 4, 16)
COUNTS = (1, 3, 16)
"""Rows of the runs, one in each profile."""

SEEDS = np.array([7, 2**64 - 3] * 8, np.uint64)
FIRSTS = np.arange(16, dtype=np.uint64) * np.uint64(2**60)
KEYS = np.stack([SEEDS, FIRSTS], axis=1)


def run(target: str, name: str, plan: Path) -> NDArray[np.uint8]:
    """Build the plan of a shipped generator and return the images of the first rows of KEYS."""
    options = pipeline.Options(target, batch=BUCKETS, plugins=True)
    pipeline.export(WEIGHTS / name, plan, options, checking=pipeline.Checking(run=False))
    tensorrt = targets.choose(target)
    loader = tensorrt.module.Runtime(tensorrt.log.logger)
    engine = loader.deserialize_cuda_engine(plan.read_bytes())
    assert engine is not None, tensorrt.log.first_error()
    context, stream = engine.create_execution_context(), torch.cuda.Stream()
    images = []
    for profile, count in enumerate(COUNTS):
        assert context.set_optimization_profile_async(profile, stream.cuda_stream)
        keys = torch.from_numpy(KEYS[:count].view(np.int64)).T.contiguous().cuda()
        for tensor, values in zip(("seed", "first"), keys, strict=True):
            assert context.set_input_shape(tensor, (count,))
            assert context.set_tensor_address(tensor, values.data_ptr())
        shape = tuple(context.get_tensor_shape("image"))
        output = torch.zeros(shape, dtype=torch.uint8, device="cuda")
        assert context.set_tensor_address("image", output.data_ptr())
        torch.cuda.synchronize()
        assert context.execute_async_v3(stream.cuda_stream), tensorrt.log.first_error()
        stream.synchronize()
        images.append(output.cpu().numpy())
    return np.concatenate(images)


if __name__ == "__main__":
    np.save(sys.argv[3], run(*sys.argv[1:3], Path(sys.argv[3]).with_suffix(".plan")))
