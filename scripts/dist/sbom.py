"""Writes what the files of a release consist of, as CycloneDX 1.6: `python scripts/dist/sbom.py dist`.

The files with their hashes, what is compiled into the libraries with the versions of this
environment (the licences are in csrc/LICENSES.txt), and the packages that the wheels require.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

# Name, licence (SPDX), and the version where this environment knows it.
COMPILED = [
    ("nlohmann-json", "MIT", "nlohmann-json"),
    ("pybind11", "BSD-3-Clause", "pybind11"),
    ("openvino", "Apache-2.0", "openvino"),
    ("tensorrt", "Apache-2.0", None),
    ("onnxruntime", "MIT", None),
    ("cuda-cudart", "LicenseRef-NVIDIA-CUDA-EULA", None),
]


def licences(identifier: str) -> list[dict[str, Any]]:
    kind = "name" if identifier.startswith("LicenseRef") else "id"
    return [{"license": {kind: identifier}}]


def compiled() -> Iterator[dict[str, Any]]:
    for name, licence, package in COMPILED:
        part = {"type": "library", "name": name, "scope": "required", "licenses": licences(licence)}
        part["bom-ref"] = f"compiled-{name}"
        part["description"] = "compiled into the libraries"
        if package:
            try:
                part["version"] = version(package)
            except PackageNotFoundError:
                pass
        yield part


def required(wheel: Path) -> Iterator[dict[str, Any]]:
    """The packages of the Requires-Dist lines of a wheel; those of extras are optional."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    seen = set()
    for line in metadata.get_all("Requires-Dist", []):
        package = Requirement(line).name.lower()
        if package in seen:
            continue
        seen.add(package)
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{package}",
            "name": package,
            "purl": f"pkg:pypi/{package}",
            "scope": "optional" if "extra ==" in line else "required",
            "description": f"required by the wheel: {line}",
        }


def files(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("generator_zoo*")):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        yield {
            "type": "file",
            "bom-ref": path.name,
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": content}],
            "licenses": licences("MIT"),
        }


def main(folder: Path) -> None:
    wheels = [path for path in folder.glob("generator_zoo-*.whl")]
    release = version("generator-zoo")
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": "generator-zoo",
                "name": "generator-zoo",
                "version": release,
                "purl": f"pkg:pypi/generator-zoo@{release}",
                "licenses": licences("MIT"),
            }
        },
        "components": [*files(folder), *compiled(), *required(wheels[0])],
    }
    path = folder / f"generator-zoo-{release}.cdx.json"
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
