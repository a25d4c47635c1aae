"""Errors for names and files that are not UTF-8, and the search for libraries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import runtime
import zoo
from runtime import errors
from runtime.errors import EngineNotFoundError, ManifestError

ENGINE = "linear-ae.onnx"


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """An engine in a folder and with a name that are Latin-1."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9j\xe0")
    os.mkdir(folder)
    return Path(shutil.copy(zoo.engine_path(ENGINE), folder + "/caf\udce9.onnx"))


def test_a_name_that_is_not_utf8_opens(odd: Path) -> None:
    with runtime.Generator(zoo.engine_path(ENGINE)) as generator:
        latents = np.ones((2, generator.latent_width))
        expected = generator.decode(latents)
    for path in (odd, str(odd), os.fsencode(odd)):
        for backend in runtime.backends():
            with runtime.Generator(path, backend=backend) as generator:
                assert generator.path == str(odd)
                images = generator.decode(latents)
                assert np.abs(images.astype(int) - expected).max() <= 1
                repr(generator).encode()
        assert runtime.manifest.read(path)["role"] == "generator"


def test_a_name_that_is_not_utf8_in_an_error(odd: Path) -> None:
    calls = [
        lambda: runtime.Encoder(odd),
        lambda: runtime.Generator(odd, device="cuda"),
        lambda: runtime.Generator(odd.with_name("n\udcf6.onnx")),
        lambda: runtime.manifest.read(odd.parent),
    ]
    closed = runtime.Generator(odd)
    closed.close()
    calls.append(lambda: closed.decode(np.zeros((1, 8))))
    for call in calls:
        with pytest.raises(errors.Error) as caught:
            call()
        assert "\\xe9" in str(caught.value) or "\\udce9" in str(caught.value)
        str(caught.value).encode()
    with pytest.raises(EngineNotFoundError, match=r"n\\xf6\.onnx"):
        runtime.Generator(odd.with_name("n\udcf6.onnx"))


def test_a_manifest_that_is_not_utf8(tmp_path: Path) -> None:
    content = zoo.engine_path(ENGINE).read_bytes()
    at = content.index(b'"model"')
    (tmp_path / "a.onnx").write_bytes(content[:at] + b'"m\xe9del"' + content[at + 7 :])
    for opens in (runtime.Generator, runtime.manifest.read):
        with pytest.raises(ManifestError) as caught:
            opens(tmp_path / "a.onnx")
        str(caught.value).encode()


def test_out_of_memory_is_also_pythons(tmp_path: Path) -> None:
    with runtime.Generator(zoo.engine_path("vae.onnx")) as generator:
        for n in (2**40, 2**62):
            with pytest.raises(errors.OutOfMemoryError, match="^n: ") as caught:
                generator.sample(n)
            assert isinstance(caught.value, MemoryError)
        assert generator.sample(1).shape == (1, 28, 28, 1)


@pytest.mark.parametrize("how", ["module", "script", "command", "path"])
def test_no_library_is_loaded_from_the_working_folder(tmp_path: Path, how: str) -> None:
    """The files there are not libraries, so opening one would be an error."""
    here = tmp_path / "here"
    for name in (
        "onnxruntime/capi/libonnxruntime.so.1",
        "openvino/libs/libopenvino.so.9",
        "openvino/libs/libopenvino_onnx_frontend.so.9",
        "runtime/lib/libzoo_openvino.so",
        "runtime/lib/libzoo_cuda.so",
        "tensorrt_libs/libnvinfer.so.10",
        "libonnxruntime.so.1",
        "libzoo_openvino.so",
    ):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text("no library")
    code = (
        "import runtime, sys; from runtime.errors import DeviceUnavailableError as E; "
        "b = runtime.backends(); assert len(b) >= 2 and 'unavailable' not in str(b), b; "
        f"g = runtime.Generator({str(zoo.engine_path(ENGINE))!r}, backend='openvino')\n"
        "try:\n    runtime.cuda.devices()\n"
        "except runtime.errors.Error as error:\n    assert 'cannot open' not in str(error), error\n"
        "print('fine')"
    )
    (here / "task.py").write_text(code)
    arguments = {
        "module": ["-m", "task"],
        "script": ["task.py"],
        "command": ["-c", code],
        "path": ["-c", code],
    }[how]
    # The package is installed, or in the repository.
    source = str(Path(runtime.__file__).parents[1])
    paths = [str(here), "", ".", source] if how == "path" else [source]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=here,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "fine\n", done.stderr
