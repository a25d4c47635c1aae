"""Checks of plans and the file of their results, as far as they need no GPU."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from export.checks import Check
from export.errors import ExportError
from export.plan import builder, pipeline, targets
from export.plan.checks import CannotRun, PlanChecker, _suggest_remedy
from export.plan.pipeline import Checking, Options
from export.plan.results import BETWEEN, DIFFERENT, Results
from export.plan.targets import TensorRT
from runtime import manifest, plans
from runtime.errors import EngineFileError
from zoo import inspect
from zoo.engines import WEIGHTS
from zoo.errors import OutputError

TENSORRT = TensorRT("tensorrt", SimpleNamespace(__version__="11"), None)  # type: ignore[arg-type]


def test_compatible_plans_need_permission_for_host_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it they are not checked; with it, a failure to load is an error, as for others."""

    def refuse(*_: Any, **__: Any) -> None:
        raise EngineFileError("cannot deserialize")

    examiner = PlanChecker.__new__(PlanChecker)
    examiner._engine_class = refuse
    monkeypatch.setattr(targets, "choose", lambda target: TENSORRT)
    compatible = Options(compatible=True)
    monkeypatch.delenv(plans.HOST_CODE, raising=False)
    with pytest.raises(CannotRun, match=f"{plans.HOST_CODE}=1: cannot deserialize"):
        examiner._open_plan(Path("a"), "a.plan", compatible)
    with pytest.raises(ExportError, match="does not run: cannot"):
        examiner._open_plan(Path("a"), "a.plan", Options())
    monkeypatch.setenv(plans.HOST_CODE, "1")
    with pytest.raises(ExportError, match="does not run: cannot"):
        examiner._open_plan(Path("a"), "a.plan", compatible)


def test_the_remedy_depends_on_the_failure() -> None:
    assert "--no-runtime-check" in _suggest_remedy(Check("", "", 1, 1, 0, 0, DIFFERENT))
    assert "in another --precision" in _suggest_remedy(Check("", "", 9, 9, 1, 1, "levels"))


def test_two_batch_sizes_are_not_fp32() -> None:
    results = Results("a GPU", throughput={"1": 5.0})
    results.checks.append(Check("", "images, batch 1: fp32", 1, 0, 1, 1, "levels"))
    results.checks.append(Check("", f"images, batch 1: {BETWEEN} 4", 7, 0, 9, 9, "levels"))
    assert results.summary() == "within 1 levels of fp32; images/s on a GPU: 5"


@pytest.mark.parametrize("detailed", [False, True])
def test_layers_are_those_of_one_batch_size(
    detailed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "a [profile 1]", "b [profile 1]", "a [profile 12]"]
    text = json.dumps({"Layers": [{"Name": name} for name in names] if detailed else names})
    inspector = SimpleNamespace(get_engine_information=lambda kind: text)
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector)
    runtime = SimpleNamespace(deserialize_cuda_engine=lambda data: engine)
    module = SimpleNamespace(Runtime=lambda logger: runtime)
    tensorrt = TensorRT("tensorrt", module, SimpleNamespace(logger=None))  # type: ignore[arg-type]
    monkeypatch.setattr(targets, "compute_capability", lambda: "9.0")
    assert builder._count_layers(tensorrt, b"") == 2


CHECKS = {"device": "a GPU", "loss": {"percent": 0.5, "of": "FID"}, "throughput": {"1": 1234.5}}


def show_checks(plan: Path) -> str:
    """Return the checks of a plan in the output of `zoo.inspect`; empty without any."""
    for options in ([], ["--json"]):
        result = CliRunner().invoke(inspect.main, [str(plan), *options])
        assert result.exit_code == 0, result.output
    checks = json.loads(result.output)["plan"].get("checks")
    return json.dumps(checks) if checks else ""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "a.plan"
    options = Options("tensorrt-rtx", batch=(1,))
    pipeline.export(WEIGHTS / "linear-ae.onnx", path, options, checking=Checking(run=False))
    return path


def test_results_beside_a_plan_are_shown(plan: Path, tmp_path: Path) -> None:
    """Only those of this plan; other, damaged and missing files are ignored."""
    copy = tmp_path / "b.plan"
    copy.write_bytes(plan.read_bytes())
    assert show_checks(copy) == ""
    digest = manifest.read(copy)["file_blake2b"]
    beside = tmp_path / "b.plan.checks.json"
    beside.write_text(json.dumps({"file_blake2b": digest} | CHECKS))
    assert show_checks(copy) == json.dumps(CHECKS)
    texts = ["", "[]", "{", "null", json.dumps(CHECKS), '"\udcff"']
    for text in [*texts, json.dumps({"file_blake2b": "0" * 64} | CHECKS)]:
        beside.write_text(text, errors="surrogateescape")
        assert show_checks(copy) == ""
    beside.unlink()
    beside.mkdir()
    assert show_checks(copy) == ""


def test_a_folder_in_the_place_of_the_results(tmp_path: Path) -> None:
    """Refused before anything is built; left alone without checks."""
    beside, path = tmp_path / "a.plan.checks.json", tmp_path / "a.plan"
    beside.mkdir()
    engine, options, lines = WEIGHTS / "linear-ae.onnx", Options("tensorrt-rtx"), list[str]()
    with pytest.raises(OutputError, match=r"a\.plan\.checks\.json: it exists and is not a regular"):
        pipeline.export(engine, path, options, progress=lines.append)
    assert not path.exists() and not any("building" in line for line in lines)
    pipeline.export(engine, path, options, checking=Checking(run=False))
    assert path.is_file() and beside.is_dir()


def test_results_of_another_plan_are_removed(tmp_path: Path) -> None:
    beside = tmp_path / "a.plan.checks.json"
    beside.write_text("{}")
    options, checking = Options("tensorrt-rtx", batch=(1,)), Checking(run=False)
    pipeline.export(WEIGHTS / "linear-ae.onnx", tmp_path / "a.plan", options, checking=checking)
    assert not beside.exists()
