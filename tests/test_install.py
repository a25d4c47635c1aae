"""The package as a user gets it: the built wheel in an empty environment, outside the source."""

import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import host_cuda
from export.manifest import seal
from export.plan import pipeline
from fixture_types import Alone, Run
from zoo.engines import WEIGHTS

pytestmark = pytest.mark.slow

# What a program that samples must be able to do without.
FORBIDDEN = ["torch", "onnx", "openvino", "safetensors"]


@pytest.fixture(scope="module")
def wheel(
    repository: Path, run: Run, alone: Alone, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The wheel, built in the folder that the installation was built in."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    with alone("package"):
        run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, repository])
    (built,) = folder.glob("generator_zoo-*.whl")
    return built


@pytest.fixture(scope="module")
def python(
    wheel: Path, repository: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The interpreter of an environment with the wheel and what it requires, and nothing else."""
    environment = tmp_path_factory.mktemp("empty") / "environment"
    run([sys.executable, "-m", "venv", environment])
    interpreter = environment / "bin" / "python"
    run(
        [interpreter, "-m", "pip", "--disable-pip-version-check", "install"]
        + ["--constraint", repository / "constraints.txt", wheel]
    )
    return interpreter


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files."""
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_has_everything_and_nothing_else(unpacked: Path, repository: Path) -> None:
    files = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    tops = {name.split("/")[0] for name in files}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"zoo", "export", "runtime"}
    for package in ("zoo", "export", "runtime"):
        for source in (repository / package).rglob("*"):
            if source.is_file() and "__pycache__" not in source.parts:
                assert str(source.relative_to(repository)) in files
    headers = repository / "csrc" / "include"
    for header in headers.rglob("*.h"):
        assert f"runtime/include/{header.relative_to(headers)}" in files
    series = ".".join(version("generator-zoo").split(".")[:2])
    assert {"runtime/lib/libzoo.so", f"runtime/lib/libzoo.so.{series}"} <= files
    assert {"runtime/lib/libzoo_c.so.1", "runtime/lib/libzoo_openvino.so"} <= files
    assert {"runtime/lib/pkgconfig/zoo.pc", "runtime/lib/pkgconfig/zoo-cpp.pc"} <= files
    assert "runtime/lib/cmake/zoo/zooConfig.cmake" in files
    assert any(re.fullmatch(r"runtime/_runtime\..+\.so", name) for name in files)
    assert {"zoo/weights/vae.onnx", "zoo/weights/vae.encoder.onnx"} <= files
    assert not [name for name in files if name.endswith((".pyc", ".cc", ".o", ".a"))]


def test_the_wheel_requires_no_training_packages(unpacked: Path) -> None:
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    lines = re.findall(r"^Requires-Dist: (.+)$", metadata.read_text(), re.MULTILINE)
    core = {re.split(r"[^\w-]", line)[0].lower() for line in lines if "extra ==" not in line}
    assert core == {"numpy", "onnxruntime", "pillow", "click"}


def test_the_libraries_can_be_moved_and_need_only_the_system(unpacked: Path, run: Run) -> None:
    system = re.compile(
        r"lib(stdc\+\+|m|gcc_s|c|dl|pthread|rt)\.so\.\d+|ld-linux-.*|libzoo\.so\.\d+\.\d+"
    )
    libraries = sorted(unpacked.glob("runtime/**/*.so*"))
    names = {library.name.split(".")[0] for library in libraries}
    cpu = {"_runtime", "libzoo", "libzoo_c", "libzoo_openvino"}
    gpu = {"libzoo_cuda", "libzoo_plugins", "libzoo_register_plugins", "libzoo_tensorrt"}
    assert names == cpu | (gpu if shutil.which("nvcc") else set())
    for library in libraries:
        dynamic = run(["readelf", "--dynamic", "--wide", library])
        # Not OpenVINO either: the name of its library changes with every patch release.
        for needed in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
            assert system.fullmatch(needed), f"{library.name} needs {needed}"
        for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.+)\]", dynamic):
            assert all(part.startswith("$ORIGIN") for part in path.split(":")), path


def test_no_file_names_the_build_folder(unpacked: Path, repository: Path) -> None:
    scripts = [*unpacked.glob("runtime/lib/cmake/**/*.cmake"), *unpacked.rglob("*.pc")]
    assert len(scripts) > 4
    for script in scripts:
        assert str(repository) not in script.read_text(), script


def test_the_installed_wheel_samples_without_pytorch(
    python: Path, run: Run, tmp_path: Path
) -> None:
    run([python, "-m", "zoo.sample", "--engine", "vae.onnx", "-n", 64, "--out", "a.png"], tmp_path)
    with Image.open(tmp_path / "a.png") as picture:
        picture.load()
        assert min(picture.size) >= 8 * 28
        assert len(picture.convert("L").getcolors()) > 16
    names = run([python, "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"])
    installed = {line.split("==")[0].lower() for line in names.split()}
    assert "generator-zoo" in installed
    assert not installed & set(FORBIDDEN)


def test_the_source_tree_does_not_hide_the_installed_library(
    python: Path, repository: Path, run: Run
) -> None:
    code = "import runtime; print(runtime.__file__, *runtime.backends())"
    file, *backends = run([python, "-c", code], cwd=repository).split()
    assert Path(file).is_relative_to(repository)
    assert "onnxruntime" in backends


@pytest.fixture(scope="module")
def grid(
    python: Path, repository: Path, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The example program, built out of the tree against the installed wheel."""
    source = tmp_path_factory.mktemp("example") / "source"
    shutil.copytree(repository / "csrc" / "examples", source)
    command = [python, "-c", "import runtime; print(runtime.cmake_dir())"]
    prefix = run(command, cwd=source).strip()
    build = source / "build"
    options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release"]
    run(["cmake", "-S", source, "-B", build, "-G", "Ninja", *options])
    run(["cmake", "--build", build])
    return build / "grid"


def test_a_program_out_of_the_tree(grid: Path, python: Path, run: Run, tmp_path: Path) -> None:
    save = (
        "import numpy, runtime, zoo; engine = zoo.engine_path('vae.onnx'); print(engine);"
        "numpy.save('expected.npy', runtime.Generator(engine).sample(36, seed=5))"
    )
    engine = run([python, "-c", save], cwd=tmp_path).strip()
    run([grid, engine, "grid.pgm", 6, 5], cwd=tmp_path)

    expected = np.load(tmp_path / "expected.npy")
    with Image.open(tmp_path / "grid.pgm") as picture:
        pixels = np.asarray(picture)
    height, width = expected.shape[1:3]
    tiles = pixels.reshape(6, height, 6, width).transpose(0, 2, 1, 3).reshape(36, height, width, 1)
    np.testing.assert_array_equal(tiles, expected)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="plans need the CUDA kernels' build")
def test_a_program_opens_plans(grid: Path, tmp_path: Path) -> None:
    """Without Python, on an emulated device: it gets as far as TensorRT, which is not here."""
    pytest.importorskip("tensorrt_rtx_bindings")
    rtx, enterprise = tmp_path / "rtx.plan", tmp_path / "enterprise.plan"
    pipeline.export(WEIGHTS / "vae.onnx", rtx, pipeline.Options("tensorrt-rtx", batch=(1, 4)))
    # The same with the letters and the name of the other TensorRT, as long as before.
    of_rtx, of_other = b'"target": "tensorrt-rtx"', b'"target": "tensorrt"    '
    plan = rtx.read_bytes()
    assert plan.startswith(b"vtrt") and plan.count(of_rtx) == 1
    enterprise.write_bytes(seal(b"ftrt" + plan[4:].replace(of_rtx, of_other)))
    environment = {
        "ZOO_CUDA_LIBRARY": str(host_cuda.build()),
        "ZOO_TENSORRT_LIBRARY": str(tmp_path),
    }

    def error(path: Path) -> str:
        done = subprocess.run(
            [grid, path, tmp_path / "grid.pgm"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2 and not (tmp_path / "grid.pgm").exists()
        return done.stderr

    assert "is a plan of TensorRT for RTX, and libzoo_tensorrt_rtx.so" in error(rtx)
    assert "which this build is for, is not installed" in error(enterprise)
    assert f"which is not in '{tmp_path}'" in error(enterprise)
