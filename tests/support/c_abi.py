"""The binary interface of the C API as a table: functions, constants, and the layout of structs.

`python tests/support/c_abi.py` writes the table that the tests compare with, csrc/c/abi/table.txt;
with `stubs` it prints a C library with the interface of zoo.h, for scripts/c_abi.sh.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import c_api
from repository import CSRC

TABLE = CSRC / "c" / "abi" / "table.txt"

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
"""Options of the compiler for what must be plain C."""


def program() -> str:
    """A C program that prints sizes and offsets, as its compiler lays structs out."""
    lines = ["#include <stdio.h>", "#include <zoo.h>", "int main(void) {"]
    for struct, fields in c_api.structs().items():
        lines.append(f'  printf("struct {struct}: %zu bytes\\n", sizeof({struct}));')
        for kind, field in fields:
            place = f"offsetof({struct}, {field}), sizeof((({struct}*)0)->{field})"
            lines.append(f'  printf("  %zu +%zu {field}: {kind}\\n", {place});')
    return "\n".join([*lines, "  return 0;", "}", ""])


def layout(include: Path) -> str:
    """What `program` prints for the header in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text(program())
        compiler = os.environ.get("CC", "cc")
        command = [compiler, *STRICT, f"-I{include}", "-o", str(binary), str(source)]
        subprocess.run(command, check=True)
        return subprocess.run([binary], check=True, capture_output=True, text=True).stdout


def table(include: Path) -> str:
    functions = [
        f"{result} {name}({', '.join(arguments) or 'void'})"
        for name, (result, arguments) in c_api.functions().items()
    ]
    constants = [f"{name} = {value}" for name, value in c_api.constants().items()]
    return "\n".join([*functions, "", *constants, "", layout(include)])


def stubs() -> str:
    """Empty C functions, so that the types of the implementation are not described too."""
    lines = ["#include <zoo.h>"]
    for name, (result, types) in c_api.functions().items():
        arguments = ", ".join(f"{kind} a{i}" for i, kind in enumerate(types)) or "void"
        body = "" if result == "void" else " return 0; "
        lines.append(f"{result} {name}({arguments}) {{{body}}}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    if sys.argv[1:] == ["stubs"]:
        print(stubs())
    else:
        TABLE.write_text(table(CSRC / "include"), "utf-8")
