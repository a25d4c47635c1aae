"""The files of onnxruntime-web that a static page needs: given, in the cache, or from npm."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from zoo import cache
from zoo.errors import ConfigError

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web@{VERSION}"

INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""SHA-512 of the package's archive, in base64, as in npm's lock files."""

FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""The module, its worker's code and the runtime in WebAssembly, without WebGPU."""

_SECONDS = 600


def locate(folder: Path | None = None) -> Path:
    """Return the folder of `FILES`: `folder` or its `dist/` if given, else the user's cache.

    What the cache lacks is downloaded with npm, which knows the user's registry and proxy.
    Raises ConfigError.
    """
    if folder is not None:
        for place in (folder, folder / "dist"):
            if all((place / name).is_file() for name in FILES):
                return place
        raise ConfigError(f"--ort: expected {', '.join(FILES)} in {folder}, or in its dist/")
    place = cache.folder() / PACKAGE
    if not all((place / name).is_file() for name in FILES):
        _unpack(_download(), place)
    return place


def _download() -> bytes:
    """Return the package's archive. Raises ConfigError."""
    instead = f"or unpack {PACKAGE} elsewhere and pass its folder as --ort"
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError(
            f"npm, which downloads {PACKAGE}, is not installed: install it, {instead}"
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", folder]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise ConfigError(
                f"npm has not downloaded {PACKAGE} in {_SECONDS} s; {instead}"
            ) from None
        archives = list(Path(folder).glob("*.tgz"))
        if run.returncode or not archives:
            lines = [line for line in run.stderr.splitlines() if "ERR!" in line or "error" in line]
            reason = lines[0] if lines else f"exit code {run.returncode}"
            raise ConfigError(
                f"npm cannot download {PACKAGE} ({reason}): is there a network? {instead}"
            )
        content = archives[0].read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != INTEGRITY:
        raise ConfigError(f"{PACKAGE}: the checksum of the download is {digest}, not {INTEGRITY}")
    return content


def _unpack(archive: bytes, place: Path) -> None:
    """Write `FILES` of an npm archive to a folder, which appears whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for name in FILES:
                member = tar.extractfile(f"package/dist/{name}")
                assert member is not None
                (Path(temporary) / name).write_bytes(member.read())
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(temporary, place)
