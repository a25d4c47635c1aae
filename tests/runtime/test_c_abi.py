"""The binary interface of libzoo_c and libzoo, and programs built against the installed package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import c_abi
import c_api
import runtime
from fixture_types import Run
from repository import CSRC, ROOT
from zoo import engine_path

LIB = runtime.ops.ops_library().parent
INCLUDE = LIB.parent / "include"
EXAMPLES = CSRC / "examples"
ENGINE = engine_path("vae.onnx")


def exported(library: Path, run: Run, *options: str) -> set[str]:
    lines = run(["nm", "--dynamic", "--defined-only", *options, library]).splitlines()
    return {line.split(maxsplit=2)[2] for line in lines}


def soname(library: Path, run: Run) -> str:
    (name,) = re.findall(r"SONAME.*\[(.+)\]", run(["readelf", "--dynamic", library]))
    return name


def test_the_installed_header_is_ours() -> None:
    for header in (c_api.HEADER, CSRC / "include" / "zoo" / "stable.h"):
        installed = INCLUDE / header.relative_to(CSRC / "include")
        assert installed.read_bytes() == header.read_bytes()


def test_the_interface_is_that_of_the_record() -> None:
    """Functions, constants and layouts, as a C compiler sees them.

    An addition at the end of an enumeration or a struct, or a new function, goes into the record
    by `scripts/c_abi.sh write`. Anything else breaks programs, and needs a new SOVERSION.
    """
    assert c_abi.table(INCLUDE) == c_abi.TABLE.read_text("utf-8")


def test_structs_begin_with_their_size_and_have_no_holes() -> None:
    """A hole would be a place where a later field could be mistaken for garbage."""
    for block in c_abi.layout(INCLUDE).split("struct ")[1:]:
        name, total = re.match(r"(\w+): (\d+) bytes", block).groups()  # type: ignore[union-attr]
        end = 0
        for offset, size, field in re.findall(r"  (\d+) \+(\d+) (\w+)", block):
            assert int(offset) == end, f"{name}.{field}"
            end += int(size)
        assert end == int(total), name
    sized = {name for name, fields in c_api.structs().items() if fields[0] == ("size_t", "size")}
    assert set(c_api.structs()) - sized == {"zoo_key", "zoo_image_format"}
    first = (CSRC / "c" / "structs.h").read_text("utf-8")
    assert set(re.findall(r"ZOO_FIRST_VERSION\((zoo_\w+),", first)) == sized


def test_libzoo_c_exports_the_functions_of_its_header(run: Run) -> None:
    assert exported(LIB / "libzoo_c.so.1", run) == set(c_api.functions())
    assert soname(LIB / "libzoo_c.so", run) == "libzoo_c.so.1"


def test_libzoo_exports_its_namespace_and_entry_points(run: Run) -> None:
    names = exported(LIB / "libzoo.so", run, "--demangle")
    own = re.compile(r"((typeinfo|typeinfo name|vtable) for )?zoo::")
    assert {name for name in names if not own.match(name)} == {
        "RegisterCustomOps",
        "zoo_register_custom_ops",
    }
    assert any(name.startswith("zoo::Generator::sample(") for name in names)
    assert "typeinfo for zoo::ArgumentError" in names
    series = ".".join(runtime.__version__.split(".")[:2])
    assert soname(LIB / "libzoo.so", run) == f"libzoo.so.{series}"


@pytest.mark.long
def test_abidiff() -> None:
    """libabigail agrees: nothing is removed or changed since the record."""
    assert shutil.which("abidiff"), "Debian, Ubuntu: apt-get install abigail-tools"
    variables = os.environ | {"VENV": sys.prefix}
    subprocess.run([ROOT / "scripts" / "c_abi.sh", "check"], check=True, env=variables)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed package, somewhere else."""
    folder = tmp_path_factory.mktemp("elsewhere") / "runtime"
    for part in ("lib", "include"):
        shutil.copytree(LIB.parent / part, folder / part)
    return folder


@pytest.fixture(scope="module")
def by_cmake(moved: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, built by find_package."""
    build = tmp_path_factory.mktemp("cmake")
    options = [f"-DCMAKE_PREFIX_PATH={moved / 'lib' / 'cmake'}", "-DCMAKE_BUILD_TYPE=Debug"]
    run(["cmake", "-S", EXAMPLES, "-B", build, "-G", "Ninja", *options])
    run(["cmake", "--build", build])
    return build


def test_programs_built_by_cmake(by_cmake: Path, run: Run, tmp_path: Path) -> None:
    check_sample(by_cmake / "sample", run, tmp_path)
    check_thread_pool(by_cmake / "thread_pool", run, tmp_path)
    needed = run(["readelf", "--dynamic", by_cmake / "sample"])
    assert "[libzoo_c.so.1]" in needed and "[libzoo.so" not in needed, "the stable ABI only"


def test_programs_built_by_pkg_config(moved: Path, run: Run, tmp_path: Path) -> None:
    """As any Makefile would; the C program as strict C99."""
    assert runtime.pkg_config_dir() == LIB / "pkgconfig"
    variables = {"PKG_CONFIG_PATH": str(moved / "lib" / "pkgconfig")}

    def flags(name: str) -> list[str]:
        found = run(["pkg-config", "--cflags", "--libs", name], env=variables).split()
        libdir = run(["pkg-config", "--variable=libdir", name], env=variables).strip()
        assert Path(libdir).resolve() == (moved / "lib").resolve()
        return [*found, f"-Wl,-rpath,{libdir}"]

    version = run(["pkg-config", "--modversion", "zoo"], env=variables).strip()
    assert version == runtime.__version__
    built = tmp_path / "sample"
    run(["cc", *c_abi.STRICT, EXAMPLES / "sample.c", "-o", built, *flags("zoo")])
    check_sample(built, run, tmp_path)
    built = tmp_path / "pool"
    run(["c++", "-std=c++17", EXAMPLES / "thread_pool.cc", "-o", built, *flags("zoo"), "-pthread"])
    check_thread_pool(built, run, tmp_path)
    built = tmp_path / "grid"
    run(["c++", "-std=c++17", EXAMPLES / "grid.cc", "-o", built, *flags("zoo-cpp")])
    check_sample(built, run, tmp_path)


def check_sample(program: Path, run: Run, folder: Path) -> None:
    """It writes the samples of Python, and fails as it says."""
    said = run([program, ENGINE, folder / "a.pgm", 4, 5])
    assert said.startswith("16 images by native ")
    with runtime.Generator(ENGINE) as generator:
        images = generator.sample(16, seed=5)
    rows = images.reshape(4, 4, 28, 28).transpose(0, 2, 1, 3).reshape(112, 112)
    with Image.open(folder / "a.pgm") as picture:
        assert np.array_equal(np.asarray(picture), rows)
    for arguments, reason in (
        (["no.onnx", folder / "b.pgm"], "no.onnx"),
        ([ENGINE, folder / "no" / "b.pgm"], "b.pgm"),
        ([ENGINE, folder / "b.pgm", 0], "n: expected at least 1"),
        ([], "usage"),
    ):
        done = subprocess.run(
            [program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2 and reason in done.stderr and not (folder / "b.pgm").exists()


def check_thread_pool(program: Path, run: Run, folder: Path) -> None:
    run([program, ENGINE, folder / "a.bin", 100, 3, 5])
    with runtime.Generator(ENGINE) as generator:
        assert (folder / "a.bin").read_bytes() == generator.sample(100, seed=5).tobytes()
