"""Plans that draw their noise with the plugins, run by TensorRT itself on a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plugin_runs
import runtime
from export.plan import targets
from repository import ROOT, TESTS
from zoo.engines import WEIGHTS

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", ["vae.onnx", "dcgan.onnx", "stylegan.onnx"])
@pytest.mark.parametrize("target", targets.TARGETS)
def test_images_are_those_of_the_runtime(target: str, name: str, tmp_path: Path) -> None:
    """Rows of two seeds and distant indices, in numbers between the batch sizes of the plan."""
    if target not in targets.find_installed():
        pytest.skip(f"{target} is not installed")
    out = tmp_path / "images.npy"
    done = subprocess.run(
        [sys.executable, plugin_runs.__file__, target, name, str(out)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{TESTS / 'support'}"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    keys = np.concatenate([plugin_runs.KEYS[:count] for count in plugin_runs.COUNTS])
    with runtime.Generator(WEIGHTS / name) as generator:
        expected = generator.sample(len(keys), keys=keys)
    difference = np.abs(np.load(out).astype(int) - expected)
    assert difference.max() <= 2 and difference.mean() < 0.01
