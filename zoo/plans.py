"""Plans that are built where they are first asked for, and kept in the user's cache folder."""

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
"""Ends the name of the file beside a plan that has what its checks found."""

DIGEST = "file_blake2b"
"""The field of a manifest that has the digest of its file, BLAKE2b of 32 bytes in hexadecimal, of
the file with zeros in the place of these digits (csrc/format/engine_file.h)."""

_LEAN = "tensorrt_lean"
"""The module that runs plans and builds none."""


def built(source: Path, precision: str = "fp32", device: str = "auto") -> Path:
    """The plan of the engine file `source` for a GPU of this machine, built if there is none yet.

    Its folder holds links to the other engine files of the family. The key of the folder is made
    of the engine's bytes, the kind of GPU, the TensorRT, the precision, and the version of this
    package. `python -m export` builds it, in a process of its own; what that says goes to stderr.

    Raises runtime.errors.EngineNotFoundError where no plan can be built, with the reason and the
    command for where one can; BackendUnavailableError where the build fails; DeviceUnavailableError
    and ArgumentError for `device`; OutputError and ConfigError where the cache cannot be used.
    """
    # 10 ms, which no command should pay that builds nothing.
    from importlib.metadata import version as version_of

    from runtime.errors import BackendUnavailableError, EngineNotFoundError

    name = f"{source.stem}{SUFFIX}"
    index = _index(source, device)
    problems = []
    try:
        gpu = _gpu(device, index)
    except BackendUnavailableError as error:
        problems.append(str(error))
    try:
        target, version = _builder()
    except BackendUnavailableError as error:
        problems.append(str(error))
    if problems:
        raise EngineNotFoundError(
            f"engine {name!r}: no such file; it can be built from {source.name} where there are a "
            f"GPU and TensorRT, and not here: {'; '.join(problems)}. "
            f"Elsewhere: {command(source, precision)}"
        )
    key = json.dumps(
        [
            sha256(source),
            *(gpu.name, gpu.capability, target, version, precision, version_of("generator-zoo")),
        ]
    )
    folder = cache.folder() / FOLDER / hashlib.sha256(key.encode()).hexdigest()[:32]
    plan = folder / name
    if not _whole(plan):
        _build(source, plan, target, precision, index, f"{gpu.name} by {target} {version}")
    return plan


def is_built(plan: Path) -> bool:
    """Whether a plan is one of the cache folder's."""
    try:
        return plan.suffix == SUFFIX and plan.parent.parent == cache.folder() / FOLDER
    except ConfigError:
        return False


def checks_of(plan: Path) -> Path:
    """Where the results of a plan's checks lie, if it was checked: `a.plan.checks.json`."""
    return plan.with_name(plan.name + CHECKS)


def read_checks(plan: Path, document: dict[str, Any]) -> dict[str, Any] | None:
    """What the checks of a plan found, by the file beside it; None without one of this very plan.

    Args:
        plan: its place.
        document: its manifest, whose digest the file repeats.
    """
    try:
        found = json.loads(checks_of(plan).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    digest = document.get(DIGEST)
    if digest is None or not isinstance(found, dict) or found.pop(DIGEST, None) != digest:
        return None
    return found


def _family(engine: Path) -> str:
    """`vae` of `vae.onnx` and `vae.encoder.onnx`."""
    return engine.name.partition(".")[0]


def _index(source: Path, device: str) -> int:
    """Index of the GPU that runs plans on `device`, a device of runtime.Generator."""
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


def _gpu(device: str, index: int) -> Device:
    from runtime import cuda
    from runtime.errors import DeviceUnavailableError

    devices = cuda.devices()
    if index >= len(devices):
        raise DeviceUnavailableError(
            f"device {device!r}: the last one here is cuda:{len(devices) - 1}"
        )
    return devices[index]


def _builder() -> tuple[str, str]:
    """The target of plans that are built here, and the version of that TensorRT."""
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


def command(source: Path, precision: str = "fp32") -> str:
    """What builds the plan of an engine file beside it, or here that of a shipped one."""
    shown = Path(source.name) if source.parent == Path(__file__).parent / "weights" else source
    parts = ["python", "-m", "export", str(shown), "--out", str(shown.with_suffix(SUFFIX))]
    return shlex.join(parts + ["--precision", precision] * (precision != "fp32"))


def _whole(plan: Path) -> bool:
    from runtime import manifest
    from runtime.errors import EngineFileError

    try:
        return "plan" in manifest.read(plan)
    except EngineFileError:
        return False


def _build(source: Path, plan: Path, target: str, precision: str, index: int, where: str) -> None:
    """Build a plan at its place, unless another process has done so in the meantime."""
    from zoo.images.atomic import alone

    try:
        plan.parent.mkdir(parents=True, exist_ok=True)
        with alone(plan.parent, wait=True):
            if _whole(plan):
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
    """Run `python -m export`. Raises BackendUnavailableError with what it says when it fails."""
    from runtime.errors import BackendUnavailableError

    options = ["--target", target, "--precision", precision]
    # -P, and this package's own folder: no module of the working folder is taken for it.
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
            f"options of: {command(source, precision)}"
        )


__all__ = ["CHECKS", "FOLDER", "SUFFIX", "built", "checks_of", "command", "is_built", "read_checks"]
