"""The GPU benchmark: limits of a case, bars, checks, and reports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import gpu_report, gpu_work
from benchmarks.gpu_bars import bars
from benchmarks.gpu_checks import (
    PSNR,
    Refused,
    compare_images,
    compare_statistics,
    count_checked,
)
from benchmarks.gpu_device import index_of, query, show_only, slug, used_mib
from benchmarks.gpu_limits import LIMITS, Timed, verdict
from benchmarks.gpu_torch import count_launches
from benchmarks.gpu_work import BYTES, Work

CEILINGS = {
    "products": {"fp32": 1e12, "fp16": 1e13},
    "copy_device": 1e11,
    "copy_down": 1e10,
    "launch": 5e-6,
    "graph_launch": 10e-6,
    "graph_kernel": 1e-6,
}
WORK = Work(flops=10**7, tensors=(1000, 3000), weights=500, products=2, noise=1, bytes_down=10**4)


def timed(**fields: Any) -> Timed:
    values: dict[str, Any] = {"seconds": 1e-3, "batch": 100, "precision": "fp32"}
    return Timed(**(values | fields))


def test_limits_of_synthetic_cases() -> None:
    """100 images: 1e9 operations, 1e6 bytes down, 1.6 MB of tensors, 2 kB of weights."""
    limits = verdict(timed(), WORK, CEILINGS)
    moved = (4000 * 100 + 500) * 4 + 10**6
    assert limits["floors_us"] == pytest.approx(
        {"copy": 100, "arithmetic": 1000, "bandwidth": moved / 1e11 * 1e6}
    )
    assert limits["limited_by"] == "arithmetic" and limits["share"] == pytest.approx(1)

    half = verdict(timed(precision="fp16", seconds=2e-4), WORK, CEILINGS)
    assert half["shares"]["arithmetic"] == pytest.approx(0.5)
    assert half["limited_by"] in ("copy", "arithmetic") and half["share"] == pytest.approx(0.5)

    slow_copy = verdict(timed(), WORK, CEILINGS | {"copy_down": 1e9})
    assert slow_copy["limited_by"] == "copy"
    assert "copy" not in verdict(timed(copied=False), WORK, CEILINGS | {"copy_down": 1e9})["shares"]

    slow_memory = verdict(timed(), WORK, CEILINGS | {"copy_device": 1e9})
    assert slow_memory["limited_by"] == "bandwidth"


def test_launches_limit_by_host_or_by_device() -> None:
    eager = verdict(timed(launches=400, graphs=0, kernels=400), WORK, CEILINGS)
    assert eager["limited_by"] == "launches" and eager["share"] == pytest.approx(2)
    replayed = timed(launches=0, graphs=1, kernels=30)
    floor = verdict(replayed, WORK, CEILINGS)["floors_us"]["launches"]
    assert floor == pytest.approx(30), "the device takes longer than the one call of the host"
    two = timed(launches=0, graphs=1, kernels=30, instances=2)
    assert verdict(two, WORK, CEILINGS)["floors_us"]["launches"] == pytest.approx(15)
    few = timed(launches=0, graphs=1, kernels=4)
    assert verdict(few, WORK, CEILINGS)["floors_us"]["launches"] == pytest.approx(10)


def test_unknown_limits_are_omitted() -> None:
    assert verdict(timed(), WORK, {"missing": {"all": "no PyTorch"}}) == {
        "limited_by": None,
        "share": None,
        "shares": {},
        "floors_us": {},
    }
    shares = verdict(timed(precision="fp8", kernels=None), WORK, CEILINGS)["shares"]
    assert set(shares) == {"copy", "bandwidth"} < set(LIMITS)


def test_tensors_in_the_cache_are_not_moved() -> None:
    assert WORK.bytes_moved(10, "fp32") == 4 * (10_000 + 30_000 + 500) + 100_000
    assert WORK.bytes_moved(10, "fp16") == 2 * (10_000 + 30_000 + 500) + 100_000
    assert WORK.bytes_moved(10, "fp32", cache=50_000) == 4 * 30_000 + 100_000
    assert WORK.bytes_moved(10, "fp32", cache=10**6) == 0


@pytest.mark.parametrize("name", ["vae", "dcgan", "progan", "stylegan", "bigan"])
def test_operations_agree_with_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    from zoo import engine_path
    from zoo.models.weights import load_generator

    work = gpu_work.count(engine_path(f"{name}.onnx"))
    network, config = load_generator(engine_path(f"{name}.onnx"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        image = network(torch.randn(1, config["config"]["latent"]))
    assert work.flops == counter.get_total_flops()
    assert work.bytes_down == image.numel()
    assert work.noise == 1 + len(getattr(network, "noise_widths", ()))
    parameters = sum(value.numel() for value in network.parameters())
    assert 0.9 * parameters < work.weights < 1.1 * parameters


def test_every_precision_of_plans_is_known() -> None:
    from export.plan.precision import PRECISIONS

    assert set(PRECISIONS) <= BYTES.keys() and set(PRECISIONS) <= PSNR.keys()


def row(key: str, batch: int, rate: float | None, **more: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "model": "dcgan",
        "key": key,
        "contender": key.split("-")[0],
        "precision": key.split("-")[-1],
        "ours": key.startswith("zoo"),
        "batch": batch,
        "status": "ok",
        "check": {"psnr_db": 60.0},
        "numpy": {"images_per_second": rate} if rate else {"rounds": []},
    }
    return fields | more


ROWS = [
    row("torch-fp32", 1, 100.0),
    row("compile-fp32", 1, 400.0),
    row("compile-bf16", 1, 800.0),
    row("zoo-trt-fp32", 1, 900.0),
    row("zoo-trt-fp16", 1, 1000.0),
    row("torch-fp32", 256, 30_000.0),
    row("compile-fp16", 256, 60_000.0),
    row("zoo-trt-fp16", 256, 149_000.0),
]


def test_bars_are_passed_missed_or_not_measured() -> None:
    by_name = {bar["bar"]: bar for bar in bars(ROWS, ["dcgan"], [1, 16, 256])}
    eager = by_name["dcgan, batch 1: x PyTorch eager fp32"]
    assert eager["value"] == 10 and eager["result"] == "pass", "equality passes"
    assert eager["ours"]["key"] == "zoo-trt-fp16" and eager["peer"]["key"] == "torch-fp32"
    late = by_name["dcgan, batch 256: x PyTorch eager fp32"]
    assert late["value"] == pytest.approx(4.9667, rel=1e-3) and late["result"] == "fail"
    results = {
        batch: by_name[f"dcgan, batch {batch}: x torch.compile at its best precision"]
        for batch in (1, 16, 256)
    }
    assert results[1]["peer"]["precision"] == "bf16" and results[1]["result"] == "fail"
    assert results[16]["result"] == "not measured" and results[16]["value"] is None
    assert results[256]["result"] == "pass"
    million = by_name["dcgan: images/s"]
    assert million["value"] == 149_000 and million["result"] == "fail"
    assert len(by_name) == 6

    without = [entry for entry in ROWS if not entry["ours"]]
    assert {bar["result"] for bar in bars(without, ["dcgan"], [1])} == {"not measured"}
    text = gpu_report.bars(list(by_name.values()))
    assert "FAIL         dcgan, batch 256: x PyTorch eager fp32: 4.97, at least 5" in text
    assert text.endswith("bars: 2 pass, 3 fail, 1 not measured")


def test_wrong_images_are_refused(vae_engine: Path) -> None:
    import runtime

    with runtime.Generator(vae_engine, device="cpu") as generator:
        images = generator.sample(64, seed=1)
        others = [generator.sample(8, seed=2, first=8 * i) for i in range(8)]
    assert compare_images(images, images, "fp32") == {
        "psnr_db": 99.0,
        "furthest": 0,
        "mean_difference": 0.0,
    }
    off = images.copy()
    off[3, 5, 5, 0] += np.uint8(9)
    assert compare_images(off, images, "fp16")["furthest"] == 9
    for wrong in (off, images[::-1].copy(), images[:-1], images.astype(np.float32)):
        with pytest.raises(Refused):
            compare_images(wrong, images, "fp32")
    with pytest.raises(Refused, match="PSNR"):
        compare_images(images[::-1].copy(), images, "bf16")

    assert compare_statistics(others, 8, images)["spread"] == pytest.approx(1, abs=0.2)
    with pytest.raises(Refused, match="not drawn again"):
        compare_statistics([others[0], others[0]], 8, images)
    with pytest.raises(Refused, match="mean is off"):
        compare_statistics([255 - batch for batch in others], 8, images)
    mean = images.mean(axis=0).astype(np.uint8)
    flat = [np.stack([mean] * 8), np.stack([mean + np.uint8(1)] * 8)]
    with pytest.raises(Refused, match="spread between images"):
        compare_statistics(flat, 8, images)
    with pytest.raises(Refused, match="expected uint8"):
        compare_statistics(others, 4, images)
    assert [count_checked(batch) for batch in (1, 48, 64, 100)] == [64, 96, 64, 100]


def test_launches_in_a_profile() -> None:
    entries = [
        ("aten::conv2d", False, 60),
        ("cudaLaunchKernel", False, 80),
        ("cudaLaunchKernelExC", False, 20),
        ("cuLaunchKernel", False, 20),
        ("cudaGraphLaunch", False, 40),
        ("cudaMemcpyAsync", False, 20),
        ("void cudnn::winograd<float>", True, 300),
        ("Memcpy DtoH (Device -> Pinned)", True, 20),
        ("Memset (Device)", True, 20),
    ]
    counts = count_launches(entries, batches=20)
    assert (counts["launches"], counts["graphs"], counts["kernels"]) == (6, 2, 15)


def test_names_of_devices() -> None:
    assert slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"
    assert slug("  ") == "gpu" and "/" not in slug("a/../b")
    assert index_of("cuda") == 0 and index_of("cuda:12") == 12
    for wrong in ("cpu", "cuda:", "cuda:-1", "cuda:x", ""):
        with pytest.raises(ValueError, match="expected cuda"):
            index_of(wrong)


def test_queries_of_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = --id=GPU-b ] && echo "580.1, 700.00"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-a,GPU-b")
    fields = ("driver_version", "power.limit")
    assert query(1, fields) == {"driver_version": "580.1", "power.limit": "700.00"}
    assert query(0, fields) == {}, "nvidia-smi fails for that GPU"
    assert query(1, (*fields, "more")) == {} and used_mib(1) is None
    show_only(1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-b"
    assert query(0, fields)["driver_version"] == "580.1", "the same GPU, which is now the first"
    program.unlink()
    assert query(1, fields) == {}


def test_reports_show_missing_measurements(tmp_path: Path) -> None:
    rows = [
        row("torch-fp32", 1, 100.0, latency_ms={"p50": 9.0, "p95": 10.0, "p99": 11.0}),
        row(
            "zoo-trt-fp16",
            1,
            1500.0,
            device={"missing": "none here"},
            limits={"limited_by": "launches", "share": 0.8},
            peak_device_bytes=3 * 2**20,
        ),
        row("zoo-trt-fp8", 1, None, status="not installed", reason="it is missing"),
        row("zoo-trt-fp8", 16, None, status="not installed", reason="it is missing"),
        row("compile-fp32", 1, None, status="refused", reason="traceback\nimages differ"),
    ]
    table = gpu_report.table(rows)
    ours = next(line for line in table.splitlines() if line.startswith("zoo fp16"))
    assert "1,500" in ours and "15.00" in ours and "launches (80%)" in ours
    assert "fp8" not in table
    absent = gpu_report.absent(rows).splitlines()
    assert absent == [
        "zoo fp16: no device results: none here [dcgan 1]",
        "zoo fp8: not installed: it is missing [dcgan 1, dcgan 16]",
        "compile fp32: refused: images differ [dcgan 1]",
    ]
    text = gpu_report.ceilings(CEILINGS | {"side": 8192, "missing": {"fp8": "too old"}})
    assert "fp16: 10.0 TFLOP/s" in text and "fp8: not measured: too old" in text
    picture = tmp_path / "plot.png"
    assert gpu_report.plot(rows, "a GPU", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not gpu_report.plot(rows[2:], "a GPU", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
