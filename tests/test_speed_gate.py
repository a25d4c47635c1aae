"""The gate on speed: what it measures, and when it fails."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import regression

QUICK = ["--rounds", "1", "--seconds", "0.001"]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(regression, "CASES", [("dcgan", 1)])
    monkeypatch.setattr(regression, "RECORD", tmp_path / "record.json")
    assert CliRunner().invoke(regression.main, ["--record", *QUICK]).exit_code == 0
    return tmp_path / "record.json"


def test_a_ratio_is_recorded_for_the_instruction_set(record: Path) -> None:
    (ratios,) = json.loads(record.read_text()).values()
    assert list(ratios) == ["dcgan 1"] and ratios["dcgan 1"] > 0


@pytest.mark.parametrize(("factor", "status"), [(0.01, 0), (100.0, 1)])
def test_it_fails_below_the_recorded_ratio(record: Path, factor: float, status: int) -> None:
    ((isa, ratios),) = json.loads(record.read_text()).items()
    record.write_text(json.dumps({isa: {name: factor * ratios[name] for name in ratios}}))
    done = CliRunner().invoke(regression.main, QUICK)
    assert done.exit_code == status, done.output
    assert ("below 70% of the recorded ratio: dcgan 1" in done.output) == bool(status)


def test_a_case_that_is_missing_fails() -> None:
    assert regression.failures({}, {"vae 1": 2.0}) == ["vae 1"]
    assert regression.failures({"vae 1": 1.41}, {"vae 1": 2.0}) == []
