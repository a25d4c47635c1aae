"""Fixtures of the tests that check plans on emulated CUDA devices."""

from __future__ import annotations

from typing import Any

import pytest

from export import throughput
from export.plan import precision
from fake_tensorrt import FakeTensorRT
from zoo import data as sets
from zoo.errors import DataError


@pytest.fixture(autouse=True)
def quick(tensorrt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the measurements of speed, and use only precisions without calibration."""
    monkeypatch.setattr(throughput, "SECONDS", 0.05)
    monkeypatch.setattr(precision, "PRECISIONS", ("fp32", "tf32", "fp16", "bf16"))


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all data sets unavailable."""

    def load(*_: Any, **__: Any) -> None:
        raise DataError("they are elsewhere")

    monkeypatch.setattr(sets, "load", load)
