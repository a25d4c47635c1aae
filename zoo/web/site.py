"""A folder of static files in which a browser runs engines."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from runtime import manifest
from zoo import engines
from zoo.errors import ConfigError
from zoo.images import atomic
from zoo.web import INDEX, ISOLATION, PAGE, POLICY, onnxruntime_web

ROLES = ("generator", "translator")
"""Roles of engines that a page shows; it uses the others as companions of these."""

COMPANIONS = ("encoder", "mapping", "synthesis", "classifier")

PARTS = ("page", "engines", "ort")
"""Folders of a page."""


def write_site(
    names: Sequence[str], out: str, *, ort: Path | None = None, overwrite: bool = False
) -> str:
    """Write a page with these engines and their companions; return a summary line.

    names: files or shipped names of generators and translators. out: a new or empty folder, or any
    with `overwrite`, which replaces the page in it. ort: folder of onnxruntime-web, see
    `onnxruntime_web.locate`. Any web server can serve the result; nothing is computed there.

    Raises ConfigError, OutputError and the errors of zoo.engines.resolve and runtime.manifest.
    """
    atomic.check_folder(out, overwrite)
    files = _collect(names)
    library = onnxruntime_web.locate(ort)
    with atomic.replace_folder(out, overwrite) as folder:
        for part in PARTS:
            (folder / part).mkdir()
        (folder / "index.html").write_text(_document(), "utf-8")
        (folder / "_headers").write_text(_headers(), "utf-8")
        for source in PAGE.iterdir():
            shutil.copyfile(source, folder / "page" / source.name)
        sizes = {name: (library / name).stat().st_size for name in onnxruntime_web.FILES}
        for name in sizes:
            shutil.copyfile(library / name, folder / "ort" / name)
        _write_json(folder / "ort" / "index.json", sizes)
        for name, path in files.items():
            shutil.copyfile(path, folder / "engines" / f"{name}.onnx")
            _write_json(folder / "engines" / f"{name}.json", manifest.read(path))
        index = {name: {"bytes": path.stat().st_size} for name, path in files.items()}
        _write_json(folder / "engines" / "index.json", index)
        total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        for part in PARTS:
            # Those of an earlier page; folders cannot replace folders that are not empty.
            shutil.rmtree(Path(out) / part, ignore_errors=True)
    count = sum("." not in name for name in files)
    return f"{count} models, {total / 1e6:.1f} MB: {out}  (python -m http.server -d {out})"


def _collect(names: Sequence[str]) -> dict[str, Path]:
    """Return the files of engines and their companions, by the names that the page gives them.

    Raises ConfigError for two engines of one name, plans, and roles that no page shows.
    """
    files: dict[str, Path] = {}
    for each in names:
        path = engines.resolve(each)
        document = manifest.read(path)
        role = document["role"]
        if path.suffix != engines.ONNX:
            raise ConfigError(f"--engine: browsers run .onnx engines, not {path.name}")
        if role not in ROLES:
            raise ConfigError(f"--engine: {path.name} is a {role}, expected {' or '.join(ROLES)}")
        if document["image"]["dtype"] != "uint8":
            raise ConfigError(f"--engine: {path.name} makes float images, expected uint8")
        name = path.stem.replace(".", "-")
        if name in files:
            raise ConfigError(f"--engine: two engines have the name {name}")
        files[name] = path
        for companion in COMPANIONS:
            beside = path.with_name(f"{path.stem}.{companion}{path.suffix}")
            if beside.is_file():
                files[f"{name}.{companion}"] = beside
    return files


def _document() -> str:
    """Return the page's HTML, with the engines in the browser and its own security policy."""
    text = INDEX.read_text("utf-8")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}" />'
    text = text.replace('data-source="server"', 'data-source="local"')
    return text.replace('<meta charset="utf-8" />', f'<meta charset="utf-8" />\n    {policy}')


def _headers() -> str:
    """Return the file `_headers`, which hosts such as Netlify and Cloudflare Pages obey."""
    lines = [f"  {name}: {value}" for name, value in ISOLATION.items()]
    return "\n".join(
        [
            "# Headers that let the page compute with several threads; without them it takes one.",
            "# Some hosts read this file. Others set the headers in their configuration.",
            "/*",
            *lines,
            "",
        ]
    )


def _write_json(path: Path, document: object) -> None:
    path.write_text(json.dumps(document), "utf-8")
