"""Run of benchmarks.gpu_throughput on emulated CUDA devices, for test_gpu_benchmark_runs.py.

Each contender's process has a TensorRT that computes in ONNX Runtime (fake_tensorrt.py), in memory
and on streams of csrc/tests/host_cuda.cc, which ZOO_CUDA_LIBRARY names. Plans are built by the real
TensorRT for RTX.
"""

from __future__ import annotations

import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import gpu_throughput
from benchmarks.gpu_contenders import Case
from fake_tensorrt import NAME, FakeTensorRT
from host_cuda import HostCuda

serve = gpu_throughput.serve


def serve_emulated(key: str, case: Case, pipe: Connection) -> None:
    """Serve as `gpu_throughput.serve` does, with the stand-in for TensorRT."""
    if key.startswith("zoo-"):
        from export.plan import pipeline

        # Building needs the real module, which must be loaded before the stand-in exists.
        _ = pipeline.Options(target="tensorrt-rtx").tensorrt
        device = HostCuda(Path(os.environ["ZOO_CUDA_LIBRARY"]))
        sys.modules[NAME] = FakeTensorRT(device)
    serve(key, case, pipe)


if __name__ == "__main__":
    gpu_throughput.serve = serve_emulated
    gpu_throughput.main()
