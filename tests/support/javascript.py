"""JavaScript modules of the page, run by the Node.js that comes with Playwright."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from playwright._impl._driver import compute_driver_executable

from zoo.web import PAGE

_PROGRAM = """
import * as fs from "node:fs";
%s
const input = JSON.parse(fs.readFileSync(0, "utf-8"));
const plain = (_, value) => typeof value === "bigint" ? String(value)
  : ArrayBuffer.isView(value) ? Array.from(value) : value;
const result = await (async () => { %s })();
fs.writeSync(1, JSON.stringify(result, plain) ?? "null");
"""


def evaluate(modules: list[str], body: str, **values: Any) -> Any:
    """Return what the body of a function returns, with `input` and the modules by their stems.

    Arrays come back as lists, BigInts as text.
    """
    imports = [f'import * as {name} from "{(PAGE / name).as_uri()}.js";' for name in modules]
    node, _ = compute_driver_executable()
    done = subprocess.run(
        [node, "--input-type=module", "-e", _PROGRAM % ("\n".join(imports), body)],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
