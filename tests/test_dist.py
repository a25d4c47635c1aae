"""What `make dist` publishes, installed into empty environments."""

from __future__ import annotations

import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import runtime
from fixture_types import Alone, Run
from zoo.engines import WEIGHTS

pytestmark = [pytest.mark.slow, pytest.mark.long]

VERSION = runtime.__version__
SAMPLE = (
    "import numpy, runtime, zoo;"
    "numpy.save('images.npy', runtime.Generator(zoo.engine_path('vae.onnx')).sample(9, seed=5))"
)


@pytest.fixture(scope="module")
def dist(
    repository: Path, run: Run, alone: Alone, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("published") / "dist"
    variables = {"DIST": str(folder), "VENV": sys.prefix}
    with alone("package"):
        run([repository / "scripts" / "dist.sh"], cwd=repository, env=variables)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob(f"generator_zoo-{VERSION}-cp3*.whl")
    return found


@pytest.fixture(scope="module")
def weights(dist: Path) -> Path:
    return dist / f"generator_zoo_weights-{VERSION}-py3-none-any.whl"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def check_samples(
    packages: list[Path], repository: Path, run: Run, folder: Path, **env: str
) -> None:
    """Packages and what they require, alone in an environment, give the images of this one."""
    run([sys.executable, "-m", "venv", folder / "environment"])
    python = folder / "environment" / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install"]
    run([*pip, "--constraint", repository / "constraints.txt", *packages], env=env)
    run([python, "-c", SAMPLE], cwd=folder)
    with runtime.Generator(WEIGHTS / "vae.onnx") as generator:
        assert np.array_equal(np.load(folder / "images.npy"), generator.sample(9, seed=5))


def test_weights_and_code_are_apart(wheel: Path, weights: Path) -> None:
    """Together they have the files of one installation of a clone; the code is small."""
    engines = {f"zoo/weights/{path.name}" for path in WEIGHTS.iterdir()}
    assert names(weights) == engines
    assert not names(wheel) & engines
    assert {"zoo/engines.py", "runtime/lib/libzoo_c.so.1", "runtime/include/zoo.h"} <= names(wheel)
    assert wheel.stat().st_size < weights.stat().st_size / 2


def test_the_wheel_is_for_older_systems_too(wheel: Path) -> None:
    """As old as RHEL 9; the toolchain decides how much older."""
    (minor,) = re.findall(r"manylinux_2_(\d+)_", wheel.name)[:1]
    assert int(minor) <= 34


def test_both_wheels_in_an_empty_environment(
    wheel: Path, weights: Path, repository: Path, run: Run, tmp_path: Path
) -> None:
    check_samples([wheel, weights], repository, run, tmp_path)


def test_the_sources_build(dist: Path, repository: Path, run: Run, tmp_path: Path) -> None:
    """Without a git repository, and with the weights."""
    sources = dist / f"generator_zoo-{VERSION}.tar.gz"
    with tarfile.open(sources) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "NOTICE", "csrc/LICENSES.txt", "csrc/include/zoo.h"} <= files
    assert not [name for name in files if name.startswith((".git/", "build/", "dist/"))]
    # The CUDA kernels, which take nvcc minutes, are in the wheel.
    options = "-DZOO_BUILD_CUDA=OFF"
    check_samples([sources], repository, run, tmp_path, CMAKE_ARGS=options)


def test_licences_come_along(wheel: Path, weights: Path) -> None:
    for path, expected in (
        (wheel, {"LICENSE", "NOTICE", "LICENSES.txt"}),
        (weights, {"LICENSE", "NOTICE"}),
    ):
        with zipfile.ZipFile(path) as archive:
            files = [name for name in archive.namelist() if not name.endswith("/")]
        assert {Path(name).name for name in files if "/licenses/" in name} == expected


def test_the_bill_of_materials(dist: Path, wheel: Path) -> None:
    document = json.loads((dist / f"generator-zoo-{VERSION}.cdx.json").read_text("utf-8"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["bom-ref"]: part for part in document["components"]}
    assert {"pkg:pypi/numpy", "pkg:pypi/onnxruntime", "compiled-pybind11", wheel.name} <= set(parts)
    assert parts["pkg:pypi/torch"]["scope"] == "optional"
    assert all(part["licenses"] for ref, part in parts.items() if ref.startswith("compiled-"))
    sums = dict(reversed(line.split()) for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert parts[wheel.name]["hashes"][0]["content"] == sums[wheel.name]
