"""Runs of the GPU benchmark: errors, contenders on a CPU, and ours on emulated CUDA devices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

import host_cuda
import runtime
from benchmarks import gpu_tasks, gpu_throughput, gpu_work
from benchmarks.gpu_bars import bars
from benchmarks.gpu_cases import measure_model
from benchmarks.gpu_checks import compare_images
from benchmarks.gpu_contenders import Case, Contender, NotInstalled, Ours, contenders
from benchmarks.processes import Process
from repository import ROOT, TESTS
from zoo import engine_path


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_throughput", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--models nothing", "'nothing.onnx': no such file"),
        ("--models cgan", "cgan needs classes"),
        ("--models linear-ae", "linear-ae has no prior"),
        ("--models face-attributes", "face-attributes has no prior"),
        ("--batch 0,4", "expected integers like 1,16,64, got '0,4'"),
        ("--batch many", "got 'many'"),
        ("--batch 1,5000", "from 1 to 4096, got 5000"),
        ("--contenders torch-fp32,caffe", "unknown 'caffe'; known: torch-fp32"),
        ("--rehearse", "needs --out"),
        ("--out results.png", "expected a file name ending in .json, got results.png"),
        ("--out benchmarks", "ending in .json, got benchmarks"),
        ("--seconds nan", "expected a number of seconds, got nan"),
        ("--seconds inf", "expected a number of seconds, got inf"),
        ("--models=", "expected names like vae,dcgan,progan,stylegan, got ''"),
    ],
)
def test_errors_are_one_line(arguments: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        gpu_throughput.main(arguments.split())
    printed = capfd.readouterr()
    assert stopped.value.code == 2 and printed.out == ""
    (line,) = printed.err.splitlines()
    assert line.startswith("error: ") and words in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [("", "GPU|driver|device"), ("--device cpu", "expected cuda or cuda:N, got 'cpu'")],
)
def test_errors_of_devices_are_one_line(arguments: str, words: str) -> None:
    """A separate process queries CUDA's devices."""
    done = command(*arguments.split(), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert any(part in line for part in words.split("|")), line


def case(model: str, *batches: int) -> Case:
    return Case(str(engine_path(f"{model}.onnx")), "cuda:99", "cpu", batches, "")


@pytest.mark.parametrize("key", ["torch-fp32", "torch-fp16", "onnxruntime-fp32"])
@pytest.mark.parametrize("model", ["progan", "stylegan"])
def test_peers_make_the_same_images(model: str, key: str) -> None:
    """Seeds have 64 bits, and layers may draw noise."""
    contender = contenders()[key](case(model, 2))
    contender.open()
    contender.prepare(2)
    with runtime.Generator(engine_path(f"{model}.onnx"), device="cpu") as generator:
        expected = generator.sample(4, seed=2**63 + 1)
    compare_images(contender.contract(2, 2**63 + 1, 4), expected, contender.precision)
    first, second = (images.copy() for images, _ in zip(contender.requests(2), "ab", strict=False))
    assert first.shape == expected[:2].shape and not np.array_equal(first, second)


def test_results_on_the_device_are_reused() -> None:
    ours = Ours(case("vae", 256))
    ours.generator = stub = MagicMock()
    images, seconds, count = gpu_tasks.throughput(ours, 256, "device", 0.01)
    assert images == 16 * 256 * count > 0 and seconds > 0
    requests = [call.kwargs for call in stub.sample.call_args_list]
    outs = ["device"] + [stub.sample.return_value] * (len(requests) - 1)
    for i, (request, out) in enumerate(zip(requests, outs, strict=True)):
        assert (request["first"], request["batch"], request["out"]) == (4096 * i, 256, out)

    with (
        runtime.Generator(engine_path("vae.onnx"), device="cpu") as ours.generator,
        pytest.raises(NotInstalled, match="the engine runs on the CPU"),
    ):
        gpu_tasks.throughput(ours, 256, "device", 0.01)


def test_smaller_batch_sizes_are_rejected() -> None:
    """Warnings of a peer do not count."""

    class Small(Contender):
        def contract(self, batch: int, seed: int, n: int) -> Any:
            warnings.warn("runs fewer images at a time than 256", RuntimeWarning, stacklevel=1)

    small = Small(case("vae", 256))
    with pytest.warns(RuntimeWarning, match="fewer images"):
        gpu_tasks.run_task(small, "contract", 256, (1, 256))
    small.ours = True  # type: ignore[misc]
    with pytest.raises(gpu_tasks.Reduced, match="^runs fewer images at a time than 256$"):
        gpu_tasks.run_task(small, "contract", 256, (1, 256))


class Slow(Contender):
    """Contender whose batches finish when they are waited for."""

    begun = done = 0

    def batches(self, batch: int, where: str) -> Iterator[int]:
        while True:
            self.begun += 1
            time.sleep(0.001)
            yield batch

    def finish(self) -> None:
        time.sleep(0.05)
        self.done = self.begun


def test_time_includes_all_batches() -> None:
    slow = Slow(case("vae", 4))
    images, seconds, count = gpu_tasks.throughput(slow, 4, "numpy", 0.02)
    assert images == 4 * count and slow.done == slow.begun > count
    assert seconds >= 0.05


def serve_badly(key: str, arguments: Any, pipe: Connection) -> None:
    """Serve failing contenders: torch-fp32 dies when timed, ONNX Runtime returns negatives."""
    contender = contenders()[key](arguments)
    while (order := pipe.recv()) is not None:
        try:
            if key == "torch-fp32" and order[0] == "throughput":
                os._exit(3)
            answer = gpu_tasks.run_task(contender, *order)
            wrong = key == "onnxruntime-fp32" and order[0] == "contract"
            pipe.send((True, 255 - answer if wrong else answer))
        except NotInstalled as error:
            pipe.send((False, error))


def serve_late(key: str, arguments: Any, pipe: Connection) -> None:
    pipe.recv()
    time.sleep(60)


def test_failing_contenders_are_reported() -> None:
    keys = ["torch-fp32", "torch-fp16", "onnxruntime-fp32", "zoo-onnxruntime"]
    work = gpu_work.count(engine_path("vae.onnx"))
    rows = measure_model("vae", case("vae", 1, 2), keys, 1, 0.02, work, {}, serve_badly)
    by_key = {(row["key"], row["batch"]): row for row in rows}
    assert len(by_key) == len(rows) == 8
    for batch in (1, 2):
        dead, refused = by_key["torch-fp32", batch], by_key["onnxruntime-fp32", batch]
        assert dead["status"] == "failed" and "the process ended (3)" in dead["reason"]
        assert refused["status"] == "refused" and "images differ by up to" in refused["reason"]
        assert "numpy" not in refused and "images_per_second" not in dead.get("numpy", {})
        absent = by_key["zoo-onnxruntime", batch]
        assert absent["status"] == "not installed" and "cuda:99" in absent["reason"]
        assert by_key["torch-fp16", batch]["numpy"]["images_per_second"] > 0
    late = Process("x", None, None, serve_late, patience=0.1)
    with pytest.raises(RuntimeError, match="no answer in 0 s"):
        late.ask("open", 0)
    with pytest.raises(RuntimeError, match="the process ended"):
        late.ask("open", 0)
    late.stop()


# One contender of each kind.
OURS = "zoo-tensorrt-rtx-fp32"
PEERS = ["torch-fp32", "compile-bf16", "onnxruntime-fp32"]
OTHERS = ["zoo-tensorrt-fp32", "zoo-onnxruntime"]


@pytest.mark.slow
def test_the_whole_command_on_an_emulated_gpu(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    out, keys = tmp_path / "folder" / "gpu.json", [*PEERS, OURS, *OTHERS]
    arguments = f"--rehearse --models vae --batch 4,1,4 --rounds 2 --seconds 0.1 --out {out}"
    done = subprocess.run(
        [
            sys.executable,
            TESTS / "support" / "emulated_benchmark.py",
            *arguments.split(),
            f"--contenders={','.join(keys)}",
        ],
        env=os.environ
        | {
            "ZOO_CUDA_LIBRARY": str(host_cuda.build()),
            "HOST_CUDA_DEVICES": "2",
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    report = json.loads(out.read_text())
    assert report["complete"] and report["rehearsal"] and "emulat" in report["gpu"]["name"].lower()
    assert report["ceilings"]["products"]["fp32"] > 0 and report["work"]["vae"]["flops"] > 10**7
    assert report["machine"]["packages"]["torch"]
    assert f"--batch 1,4 --contenders {','.join(keys)}" in report["command"]
    rows = {(row["key"], row["batch"]): row for row in report["rows"]}
    assert set(rows) == {(key, batch) for key in keys for batch in (1, 4)}
    for (key, batch), row in rows.items():
        if key in OTHERS:
            assert row["status"] == "ok" or row["reason"], "a missing contender has a reason"
            assert row["status"] == "ok" or row["contender"] in done.stdout
            continue
        assert row["status"] == "ok", row
        assert len(row["numpy"]["rounds"]) == 2 and min(row["numpy"]["rounds"]) > 0
        assert row["numpy"]["images_per_second"] == pytest.approx(np.mean(row["numpy"]["rounds"]))
        assert ("latency_ms" in row) == (batch == 1)
        if batch == 1:
            assert row["latency_ms"]["p50"] <= row["latency_ms"]["p95"] <= row["latency_ms"]["p99"]
        assert row["limits"]["limited_by"] and row["limits"]["share"] > 0
        assert row["check"]["noise"] == ("the contract" if key not in PEERS[:2] else "its own")
        assert row["device"]["images_per_second"] > 0
    row = rows[OURS, 4]
    assert row["backend"] == "tensorrt-rtx" and row["instances"] == 2
    assert (row["graphs"], row["launches"]) == (1, 0) and row["kernels"] > row["layers"] > 0
    assert row["peak_device_bytes"] > 0 and row["plan_bytes"] > 0
    assert rows[OURS, 1]["check"]["furthest"] <= 1
    assert report["bars"] == bars(report["rows"], ["vae"], [1, 4])
    assert "numbers are meaningless" in done.stdout and "bars: " in done.stdout
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
