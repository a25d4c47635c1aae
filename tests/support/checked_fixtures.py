"""Fixtures of the tests that check plans on emulated CUDA devices."""

from __future__ import annotations

from typing import Any

import pytest

from checked_plans import graph_of
from export import throughput
from export.plan import precision
from fake_tensorrt import FakeTensorRT
from zoo import data as sets
from zoo.errors import DataError


@pytest.fixture(autouse=True)
def finds_plans(
    tensorrt: FakeTensorRT,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The stand-in knows every plan of a shipped engine, and speed is measured shortly."""
    folder = tmp_path_factory.mktemp("unknown")
    tensorrt.find = lambda plan: graph_of(plan, folder)
    monkeypatch.setattr(throughput, "SECONDS", 0.05)
    # What has to be calibrated with pictures has tests of its own.
    monkeypatch.setattr(precision, "PRECISIONS", ("fp32", "tf32", "fp16", "bf16"))


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set is at hand."""

    def load(*_: Any, **__: Any) -> None:
        raise DataError("they are elsewhere")

    monkeypatch.setattr(sets, "load", load)
