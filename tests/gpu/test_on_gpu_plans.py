"""Plans of every shipped engine on a GPU, in each installed TensorRT."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import runtime
from export.plan import pipeline, targets
from export.plan.pipeline import Checking
from export.plan.precision import EIGHT_BITS
from plan_cases import ENGINES, held_out_inputs
from plan_runs import KINDS, assert_near, role_of, run_on_cpu, run_on_inputs, run_plan
from runtime.errors import BackendUnavailableError
from zoo.engines import WEIGHTS
from zoo.plans import read_checks

pytestmark = pytest.mark.gpu

BUCKETS = (1, 4, 16)
LEVELS = {"fp32": (1, 0.01), "tf32": (8, 0.3), "fp16": (8, 0.3), "bf16": (120, 2.0)}
"""Greatest and mean difference of levels; docs/tensorrt.md has the cost of rounding alone."""
NUMBERS = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 5e-3, "bf16": 5e-2}
"""RMS difference, relative to the standard deviation."""

EIGHT_LEVELS, EIGHT_NUMBERS = 3.0, 0.08
"""Mean difference of levels and RMS of int8 and fp8; the export has 2 and 0.05 on a CPU."""

expected = cache(run_on_cpu)


@pytest.fixture(scope="module", params=targets.TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    """Each installed TensorRT."""
    if request.param not in targets.find_installed():
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def build(name: str, target: str, precision: str, folder: Path) -> Path:
    path = folder / "a.plan"
    options = pipeline.Options(target=target, precision=precision, batch=BUCKETS)
    pipeline.export(WEIGHTS / name, path, options, checking=Checking(run=False))
    return path


def run(name: str, plan: Path) -> NDArray[Any]:
    """Run a plan; skip the test if this TensorRT does not run on this GPU at all."""
    try:
        return run_plan(name, plan)
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", LEVELS)
@pytest.mark.parametrize("name", ENGINES)
def test_plans_agree_with_engines(name: str, precision: str, target: str, tmp_path: Path) -> None:
    got = run(name, build(name, target, precision, tmp_path))
    want = expected(name)
    assert_near(got, want, LEVELS[precision], NUMBERS[precision])


@pytest.mark.parametrize("precision", EIGHT_BITS)
@pytest.mark.parametrize("name", ENGINES)
def test_plans_in_eight_bits_stay_near(
    name: str, precision: str, target: str, tmp_path: Path
) -> None:
    """On real inputs outside of the calibration set."""
    plan = build(name, target, precision, tmp_path)
    run(name, plan)
    feed, kind = held_out_inputs(WEIGHTS / name), KINDS[role_of(name)]
    with kind(plan) as engine, kind(WEIGHTS / name, backend="onnxruntime") as itself:
        for got, want in zip(run_on_inputs(engine, feed), run_on_inputs(itself, feed), strict=True):
            assert_near(got, want, (255, EIGHT_LEVELS), EIGHT_NUMBERS)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", ["vae.onnx", "dcgan.onnx"])
def test_images_of_one_size_do_not_depend_on_the_request(
    name: str, precision: str, target: str, tmp_path: Path
) -> None:
    """Bit for bit: across replays, offsets, instances, and requests that one size holds."""
    path = build(name, target, precision, tmp_path)
    run(name, path)
    with runtime.Generator(path) as generator:
        whole = generator.sample(64, seed=8, first=100)
        np.testing.assert_array_equal(generator.sample(64, seed=8, first=100), whole)
        np.testing.assert_array_equal(generator.sample(30, seed=8, first=107), whole[7:37])
        with generator.stream(64, seed=8, first=100, batch=16) as blocks:
            np.testing.assert_array_equal(np.concatenate(list(blocks)), whole)
    with runtime.Generator(path, instances=1) as generator:
        np.testing.assert_array_equal(generator.sample(64, seed=8, first=100), whole)


@pytest.mark.parametrize("name", ["vae.onnx", "vae.encoder.onnx"])
def test_results_of_the_checks(name: str, target: str, tmp_path: Path) -> None:
    """The file has the device's name and the throughput of every batch size."""
    path = tmp_path / "a.plan"
    options = pipeline.Options(target=target, precision="fp16", batch=BUCKETS)
    (plan,) = pipeline.export(WEIGHTS / name, path, options, checking=Checking(images=500))
    if plan.checked is None:
        run(name, path)
    results = read_checks(path, runtime.manifest.read(path))
    assert results is not None
    assert results["device"] == runtime.cuda.devices()[0].name
    assert list(results["throughput"]) == [str(rows) for rows in BUCKETS]
    assert all(rate > 0 for rate in results["throughput"].values())
    if name == "vae.onnx":
        assert results["fid"]["images"] == 500 and results["loss"]["percent"] < 5


def test_the_fastest_of_all_precisions(target: str, tmp_path: Path) -> None:
    path = tmp_path / "a.plan"
    options = pipeline.Options(target=target, batch=BUCKETS)
    run("vae.onnx", build("vae.onnx", target, "fp32", tmp_path))
    checking = Checking(images=500, max_loss=5.0)
    (plan,) = pipeline.export(WEIGHTS / "vae.onnx", path, options, checking=checking)
    print(plan.candidates)
    document = runtime.manifest.read(path)
    assert plan.precision == document["precision"]
    results = read_checks(path, document)
    assert results is not None and results["loss"]["percent"] <= 5
