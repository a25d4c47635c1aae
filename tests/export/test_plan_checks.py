"""What is said of the checks of a plan, without a GPU that runs one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.checks import Check
from export.errors import ExportError
from export.plan import builder, checked, flavours
from export.plan.builder import Settings
from export.plan.checks import Examiner, NotRun, _remedy
from export.plan.flavours import Flavour
from export.plan.pipeline import Plan
from export.plan.results import BETWEEN, DIFFERENT, Results
from runtime import plans
from runtime.errors import EngineFileError

FLAVOUR = Flavour("tensorrt", SimpleNamespace(__version__="11"), None)  # type: ignore[arg-type]


def test_compatible_plans_need_leave_for_host_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it they say nothing of the plan; with it, or not compatible, a failure is one."""

    def refuse(*_: Any, **__: Any) -> None:
        raise EngineFileError("cannot deserialize")

    examiner = Examiner.__new__(Examiner)
    examiner._kind = refuse
    compatible = Settings(FLAVOUR, compatible=True)
    monkeypatch.delenv(plans.HOST_CODE, raising=False)
    with pytest.raises(NotRun, match=f"{plans.HOST_CODE}=1 only: cannot deserialize"):
        examiner._open(Path("a"), "a.plan", compatible)
    with pytest.raises(ExportError, match="does not run: cannot"):
        examiner._open(Path("a"), "a.plan", Settings(FLAVOUR))
    monkeypatch.setenv(plans.HOST_CODE, "1")
    with pytest.raises(ExportError, match="does not run: cannot"):
        examiner._open(Path("a"), "a.plan", compatible)


def test_what_helps_depends_on_what_failed() -> None:
    assert "--no-runtime-check" in _remedy(Check("", "", 1, 1, 0, 0, DIFFERENT))
    assert "in another --precision" in _remedy(Check("", "", 9, 9, 1, 1, "levels"))


def test_two_batch_sizes_are_not_fp32() -> None:
    found = Results("a GPU", throughput={"1": 5.0})
    found.checks.append(Check("", "images, batch 1: fp32", 1, 0, 1, 1, "levels"))
    found.checks.append(Check("", f"images, batch 1: {BETWEEN} 4", 7, 0, 9, 9, "levels"))
    assert found.summary() == "within 1 levels of fp32; images/s on a GPU: 5"


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
    flavour = Flavour("tensorrt", module, SimpleNamespace(logger=None))  # type: ignore[arg-type]
    monkeypatch.setattr(flavours, "compute_capability", lambda: "9.0")
    assert builder._layers(flavour, b"") == 2


@pytest.mark.parametrize("step", ["same", "check"])
def test_a_second_build_that_cannot_run(step: str, tmp_path: Path) -> None:
    """The first one is kept as it is."""
    place = tmp_path / "a.plan"
    place.write_bytes(b"first")

    def build(path: Path, *_: Any) -> Plan:
        path.write_bytes(b"second")
        return plan_of(6)

    def plan_of(size: int) -> Plan:
        return Plan(place, size, 1.0, 1, "", "fp32", [], (1,))

    def fail(*_: Any) -> None:
        raise NotRun("no room")

    examiner: Any = SimpleNamespace(**({"same": lambda *_: False} | {step: fail}))
    said: list[str] = []
    found = Results("a GPU", throughput={"1": 5.0})
    settings = Settings(FLAVOUR)
    kept = checked.numbered(
        build, plan_of(5), found, place, "a.plan", settings, examiner, said.append
    )
    assert place.read_bytes() == b"first" and kept.size == 5 and kept.checked is found
    assert said[-1] == "what the checks found is not in the manifest of a.plan: no room"
