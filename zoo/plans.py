"""TensorRT plans, built on first use and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import cache
from zoo.errors import ConfigError, OutputError
from zoo.images.reading import sha256

if TYPE_CHECKING:
    from runtime.cuda import Device

FOLDER = "plans"
"""Name of the cache folder."""
SUFFIX = ".plan"
CHECKS = ".checks.json"
"""Suffix of the file next to a plan that holds the results of its checks."""

DIGEST = "file_blake2b"
"""Manifest field with the digest of its file: 32 bytes of BLAKE2b in hexadecimal, computed with
these digits replaced by zeros (csrc/format/engine_file.h)."""

_LEAN = "tensorrt_lean"
"""The module that runs plans but cannot build them."""


def ensure_built(source: Path, precision: str = "fp32", device: str = "auto") -> Path:
    """Return the plan of the engine file `source` for a GPU of this machine, building it if needed.

    The plan's folder also has links to the other engine files of the family. Its name is a hash of
    the engine's bytes, the type of GPU, the version of TensorRT, the precision, and the version of
    this package. `python -m export` builds the plan in a separate process; its messages go to
    stderr.

    Raises runtime.errors.EngineNotFoundError if no plan can be built here, with the reason and the
    command to use elsewhere; BackendUnavailableError if the build fails; DeviceUnavailableError and
    ArgumentError for `device`; OutputError and ConfigError if the cache cannot be used.
    """
    # Importing it takes 10 ms, which commands that build nothing should not pay.
    from importlib.metadata import version as version_of

    from runtime.errors import BackendUnavailableError, EngineNotFoundError

    name = f"{source.stem}{SUFFIX}"
    index = _device_index(source, device)
    problems = []
    try:
        gpu = _find_gpu(device, index)
    except BackendUnavailableError as error:
        problems.append(str(error))
    try:
        target, version = _find_builder()
    except BackendUnavailableError as error:
        problems.append(str(error))
    if problems:
        raise EngineNotFoundError(
            f"engine {name!r}: no such file; it can be built from {source.name} on a machine with "
            f"a GPU and TensorRT, but not here: {'; '.join(problems)}. "
            f"Elsewhere: {build_command(source, precision)}"
        )
    key = json.dumps(
        [
            sha256(source),
            *(gpu.name, gpu.capability, target, version, precision, version_of("generator-zoo")),
        ]
    )
    folder = cache.folder() / FOLDER / hashlib.sha256(key.encode()).hexdigest()[:32]
    plan = folder / name
    if not _is_plan(plan):
        _build(source, plan, target, precision, index, f"{gpu.name} by {target} {version}")
    return plan


def is_built(plan: Path) -> bool:
    """Return True if a plan is in the cache folder."""
    try:
        return plan.suffix == SUFFIX and plan.parent.parent == cache.folder() / FOLDER
    except ConfigError:
        return False


def checks_path(plan: Path) -> Path:
    """Return the path of the results of a plan's checks: `a.plan.checks.json`."""
    return plan.with_name(plan.name + CHECKS)


def read_checks(plan: Path, document: dict[str, Any]) -> dict[str, Any] | None:
    """Read the results of a plan's checks; None unless they match the plan's digest.

    Args:
        plan: Path of the plan.
        document: Its manifest, which contains the digest.
    """
    try:
        checks = json.loads(checks_path(plan).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    digest = document.get(DIGEST)
    if digest is None or not isinstance(checks, dict) or checks.pop(DIGEST, None) != digest:
        return None
    return checks


def _family(engine: Path) -> str:
    """Return the family of an engine: `vae` for `vae.onnx` and `vae.encoder.onnx`."""
    return engine.name.partition(".")[0]


def _device_index(source: Path, device: str) -> int:
    """Return the index of the GPU for a `device` of runtime.Generator."""
    from runtime.errors import ArgumentError, DeviceUnavailableError

    if device == "cpu":
        raise DeviceUnavailableError(
            f"device 'cpu': {source.stem}{SUFFIX} is a plan, which needs a GPU; "
            f"use the .onnx engine, {source.name}"
        )
    match = re.fullmatch(r"auto|cuda(?::(\d{1,4}))?", device)
    if match is None:
        raise ArgumentError(f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:N', got {device!r}")
    return int(match[1] or 0)


def _find_gpu(device: str, index: int) -> Device:
    from runtime import cuda
    from runtime.errors import DeviceUnavailableError

    devices = cuda.devices()
    if index >= len(devices):
        raise DeviceUnavailableError(
            f"device {device!r}: the last one here is cuda:{len(devices) - 1}"
        )
    return devices[index]


def _find_builder() -> tuple[str, str]:
    """Return the target of plans built here, and the version of TensorRT."""
    from runtime.errors import BackendUnavailableError
    from runtime.plans import EXTRAS, MODULES

    problems = []
    for target, names in MODULES.items():
        for name in names:
            if name == _LEAN:
                continue
            try:
                return target, str(importlib.import_module(name).__version__)
            except ModuleNotFoundError as error:
                if error.name != name:
                    problems.append(f" ({name}: {error})")
            except Exception as error:  # the wheels look for shared libraries when imported
                problems.append(f" ({name}: {error})")
    extras = " or ".join(f"'generator-zoo[export,{extra}]'" for extra in EXTRAS.values())
    raise BackendUnavailableError(
        f"TensorRT is not installed: pip install {extras}{''.join(problems)}"
    )


def build_command(source: Path, precision: str = "fp32") -> str:
    """Return the command that builds the plan of an engine file next to it.

    The plan of a shipped engine is built in the working folder.
    """
    shown = Path(source.name) if source.parent == Path(__file__).parent / "weights" else source
    parts = ["python", "-m", "export", str(shown), "--out", str(shown.with_suffix(SUFFIX))]
    return shlex.join(parts + ["--precision", precision] * (precision != "fp32"))


def _is_plan(plan: Path) -> bool:
    from runtime import manifest
    from runtime.errors import EngineFileError

    try:
        return "plan" in manifest.read(plan)
    except EngineFileError:
        return False


def _build(source: Path, plan: Path, target: str, precision: str, index: int, where: str) -> None:
    """Build a plan, unless another process has done so in the meantime."""
    from zoo.images.atomic import lock_output

    try:
        plan.parent.mkdir(parents=True, exist_ok=True)
        with lock_output(plan.parent, wait=True):
            if _is_plan(plan):
                return
            print(f"building {plan.name} for {where}, to keep it in {plan.parent}", file=sys.stderr)
            for other in source.parent.glob(f"*{source.suffix}"):
                if _family(other) == _family(source):
                    link = plan.with_name(other.name)
                    link.unlink(missing_ok=True)
                    link.symlink_to(other.resolve())
            _export(source, plan, target, precision, index)
    except OSError as error:
        raise OutputError(f"cannot write {plan}: {error.strerror or error}") from error


def _export(source: Path, plan: Path, target: str, precision: str, index: int) -> None:
    """Run `python -m export`. Raises BackendUnavailableError with its message if it fails."""
    from runtime.errors import BackendUnavailableError

    options = ["--target", target, "--precision", precision]
    # -P and an explicit path, so that no module of the working folder is imported instead.
    program = [sys.executable, "-P", "-m", "export", str(source.resolve()), "--out", str(plan)]
    paths = [str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if index:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        variables["CUDA_VISIBLE_DEVICES"] = seen[index] if index < len(seen) else str(index)
    said = ""
    with subprocess.Popen(
        [*program, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=variables,
        text=True,
        errors="backslashreplace",
    ) as child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                said = line.strip() or said
                if not said.startswith("error: "):
                    print(said, file=sys.stderr)
            status = child.wait()
        except BaseException:
            child.terminate()
            raise
    if status:
        reason = said.removeprefix("error: ") or f"exit status {status}"
        raise BackendUnavailableError(
            f"{plan.name} cannot be built: {reason}; use {source.name}, or build it with other "
            f"options of: {build_command(source, precision)}"
        )
