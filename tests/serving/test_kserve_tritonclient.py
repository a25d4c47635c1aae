"""The service with NVIDIA's client of the protocol, unchanged, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repository import TESTS
from runtime import Generator
from services import serving
from zoo import engine_path

# This project's own versions of protobuf and ml-dtypes are too new for it.
PACKAGES = ("tritonclient[http,grpc]==2.73.0", "protobuf<7", "ml-dtypes<=0.5.4")


@pytest.mark.long
@pytest.mark.slow
def test_tritonclient(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PIP_CONSTRAINT", "PYTHONPATH", "VIRTUAL_ENV")
    }
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True, timeout=300)
    subprocess.run(
        [python, "-m", "pip", "-q", "install", *PACKAGES], check=True, timeout=900, env=environment
    )
    options = ("--engine", "cgan", "--backend", "native", "--grpc-port", "0")
    with serving(*options) as (client, process):
        assert process.stdout is not None
        grpc = process.stdout.readline().strip().removeprefix("grpc://")
        http, script = client.base_url.netloc.decode(), TESTS / "support" / "triton_session.py"
        session = [python, script, http, grpc, tmp_path]
        done = subprocess.run(
            session, capture_output=True, text=True, timeout=300, env=environment, check=False
        )
    assert done.returncode == 0, done.stderr
    answers = dict(np.load(tmp_path / "images.npz"))
    rows = answers.pop("rows")
    assert f"answers: {len(answers)}" in done.stdout and len(answers) == 15
    labels = {"numbers": [9, 0, 4, 4], "texts": ["Bag", "Coat", "Bag", "Dress"]}
    with Generator(engine_path("cgan.onnx"), backend="native", instances=1) as generator:
        for name in answers:
            own = labels.get(name.partition("_")[2])
            assert np.array_equal(answers[name], generator.sample(4, keys=rows, labels=own)), name
