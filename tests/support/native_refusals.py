"""Graphs that the native backend is to refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from native_engines import Engine
from native_graphs import ROWS, Network, Value
from oracles.layers import Numbers, given
from runtime.errors import BackendUnavailableError

Build = Callable[[Network, Path], Engine]

CONVOLUTION = r"node '{}' \({}\) is a convolution of an unknown kind"
UNKNOWN = r"node '{}' \({}\) is not of an operator that it knows"


def unknown(x: Value, *shape: int) -> Numbers:
    """A place for numbers that nobody looks at."""
    return given(np.zeros((len(x.numbers.exact), *shape)))


def refused(path: Path, build: Build, message: str) -> None:
    """ONNX Runtime makes something of it; the native backend refuses it with this message."""
    engine = build(Network(1), path)
    with engine.open(path, backend="onnxruntime", instances=1) as stock:
        assert engine.call(stock, slice(0, ROWS)).shape == engine.exact.shape
    with pytest.raises(BackendUnavailableError, match=message):
        engine.open(path, backend="native")
    with engine.open(path, backend="auto") as chosen:
        assert chosen.backend != "native"
