"""benchmarks.gpu_throughput on emulated CUDA devices: `test_gpu_benchmark.py` runs it.

Each contender's process has a TensorRT that computes in ONNX Runtime (fake_tensorrt.py), in memory
and on streams of csrc/tests/host_cuda.cc, which ZOO_CUDA_LIBRARY names. Plans are built by the real
TensorRT for RTX.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from onnx import ModelProto

from benchmarks import gpu_throughput
from benchmarks.gpu_contenders import Case
from fake_tensorrt import FakeTensorRT
from host_cuda import HostCuda
from plan_cases import lowered, rounded
from zoo.engines import WEIGHTS

serve = gpu_throughput.serve


class Graphs(Mapping[bytes, ModelProto]):
    """The graph of any plan of a shipped generator, by what stands in its manifest."""

    def __getitem__(self, plan: bytes) -> ModelProto:
        import runtime

        with tempfile.NamedTemporaryFile(suffix=".plan") as file:
            Path(file.name).write_bytes(plan)
            document = runtime.manifest.read(file.name)
        precision = document["precision"]
        graph = lowered(WEIGHTS / f"{document['model']}.onnx", precision)[0]
        # ONNX Runtime computes nothing in bfloat16 on a CPU.
        return rounded(graph, precision) if precision == "bf16" else graph

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def __len__(self) -> int:
        return 0


def serve_emulated(key: str, case: Case, pipe: Connection) -> None:
    """As `gpu_throughput.serve`, in a process that has that TensorRT."""
    if key.startswith("zoo-"):
        from export.plan import pipeline

        # Building needs the real module, which is loaded while it is the only one there is.
        _ = pipeline.Options(target="tensorrt-rtx").tensorrt
        device = HostCuda(Path(os.environ["ZOO_CUDA_LIBRARY"]))
        name = "tensorrt_rtx"
        sys.modules[name] = FakeTensorRT(device, Graphs(), buckets=case.batches, name=name)
    serve(key, case, pipe)


if __name__ == "__main__":
    gpu_throughput.serve = serve_emulated
    gpu_throughput.main()
