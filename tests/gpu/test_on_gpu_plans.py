"""Plans of every shipped engine on a GPU, by each TensorRT that is installed."""

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
from plan_cases import ENGINES, held_out
from plan_runs import KINDS, ask_real, assert_near, by_itself, by_plan, role_of
from runtime.errors import BackendUnavailableError
from zoo.engines import WEIGHTS
from zoo.plans import read_checks

pytestmark = pytest.mark.gpu

BUCKETS = (1, 4, 16)
LEVELS = {"fp32": (1, 0.01), "tf32": (8, 0.3), "fp16": (8, 0.3), "bf16": (120, 2.0)}
"""Greatest and mean difference of levels; docs/tensorrt.md has what rounding alone costs."""
NUMBERS = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 5e-3, "bf16": 5e-2}
"""RMS difference, in parts of the standard deviation."""

EIGHT_LEVELS, EIGHT_NUMBERS = 3.0, 0.08
"""Mean difference of levels and RMS of int8 and fp8: the export holds to 2 and 0.05 on a CPU."""

expected = cache(by_itself)


@pytest.fixture(scope="module", params=targets.TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    """A TensorRT that is installed here."""
    if request.param not in targets.find_installed():
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


def built(name: str, target: str, precision: str, folder: Path) -> Path:
    path = folder / "a.plan"
    options = pipeline.Options(target=target, precision=precision, batch=BUCKETS)
    pipeline.export(WEIGHTS / name, path, options, checking=Checking(run=False))
    return path


def run(name: str, plan: Path) -> NDArray[Any]:
    """By the plan; the test is skipped where this TensorRT does not run on this GPU at all."""
    try:
        return by_plan(name, plan)
    except BackendUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("precision", LEVELS)
@pytest.mark.parametrize("name", ENGINES)
def test_plans_answer_as_the_engines_do(
    name: str, precision: str, target: str, tmp_path: Path
) -> None:
    got = run(name, built(name, target, precision, tmp_path))
    want = expected(name)
    assert_near(got, want, LEVELS[precision], NUMBERS[precision])


@pytest.mark.parametrize("precision", EIGHT_BITS)
@pytest.mark.parametrize("name", ENGINES)
def test_plans_in_eight_bits_stay_near(
    name: str, precision: str, target: str, tmp_path: Path
) -> None:
    """On real inputs that they were not calibrated with."""
    plan = built(name, target, precision, tmp_path)
    run(name, plan)
    feed, kind = held_out(WEIGHTS / name), KINDS[role_of(name)]
    with kind(plan) as engine, kind(WEIGHTS / name, backend="onnxruntime") as itself:
        for got, want in zip(ask_real(engine, feed), ask_real(itself, feed), strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape
            known = np.isfinite(want)
            difference = got[known].astype(float) - want[known]
            if want.dtype == np.uint8:
                assert np.abs(difference).mean() <= EIGHT_LEVELS
            else:
                rms = np.sqrt(np.square(difference).mean())
                assert rms <= EIGHT_NUMBERS * want[known].std()


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("name", ["vae.onnx", "dcgan.onnx"])
def test_images_of_one_size_do_not_depend_on_the_request(
    name: str, precision: str, target: str, tmp_path: Path
) -> None:
    """Bit for bit: across replays, offsets, instances, and requests that one size holds."""
    path = built(name, target, precision, tmp_path)
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
def test_what_the_checks_find_lies_beside_the_plan(name: str, target: str, tmp_path: Path) -> None:
    """By the device's own name, for every batch size; the FID is that of as many images."""
    path = tmp_path / "a.plan"
    options = pipeline.Options(target=target, precision="fp16", batch=BUCKETS)
    (plan,) = pipeline.export(WEIGHTS / name, path, options, checking=Checking(images=500))
    if plan.checked is None:
        run(name, path)
    found = read_checks(path, runtime.manifest.read(path))
    assert found is not None
    assert found["device"] == runtime.cuda.devices()[0].name
    assert list(found["throughput"]) == [str(rows) for rows in BUCKETS]
    assert all(rate > 0 for rate in found["throughput"].values())
    if name == "vae.onnx":
        assert found["fid"]["images"] == 500 and found["loss"]["percent"] < 5


def test_the_fastest_of_all_precisions(target: str, tmp_path: Path) -> None:
    path = tmp_path / "a.plan"
    options = pipeline.Options(target=target, batch=BUCKETS)
    run("vae.onnx", built("vae.onnx", target, "fp32", tmp_path))
    checking = Checking(images=500, max_loss=5.0)
    (plan,) = pipeline.export(WEIGHTS / "vae.onnx", path, options, checking=checking)
    print(plan.candidates)
    document = runtime.manifest.read(path)
    assert plan.precision == document["precision"]
    found = read_checks(path, document)
    assert found is not None and found["loss"]["percent"] <= 5
