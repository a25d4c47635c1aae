"""Rules of CONTRIBUTING.md about the sources: imports, tables, and the length of files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from repository import CSRC, ROOT

PACKAGES = ("runtime", "zoo", "export")
FILES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]

LONGEST = 600
"""Lines of a source file."""


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


WITH_PYTORCH = {
    "zoo.applications.inversion",
    "zoo.applications.spaces",
    "zoo.evaluation.efficientnet",
    "zoo.evaluation.elbo",
    "zoo.evaluation.inception",
    "zoo.evaluation.scores",
    "zoo.generation.dataset",
}
"""Modules that import PyTorch, and that others import in the functions that need them."""

MODULES = {module_name(file): file for file in FILES}

STAIR = (
    {
        "cache",
        "console",
        "errors",
        "host",
        "optional",
        "processes",
        "progress",
        "signals",
        "tables",
    },
    {"images"},
    {"corruption"},
    {"data"},
    {"plans"},
    {"engines"},
    {"inference", "web"},
    {"models"},
    {"evaluation"},
    {"training", "applications", "generation"},
    {"serving"},
)
"""Layers of zoo, from the bottom up; the commands are on top.

A module imports from the layers below and from its own folder. Those of one layer are independent.
"""


def imported(nodes: list[ast.AST], module: str) -> Iterator[str]:
    """Yield the full names that these statements import."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *filter(None, [base])])
            yield from (f"{base}.{name.name}" for name in node.names)


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported, without those for types."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from at_import(child)


@cache
def names(module: str, everywhere: bool) -> frozenset[str]:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree) if everywhere else at_import(tree))
    return frozenset(imported(nodes, module))


def needed(module: str) -> set[str]:
    """Return the full names that importing a module imports, directly or through our modules."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            part = ".".join(parts[:end])
            if part in seen:
                continue
            seen.add(part)
            if part in MODULES:
                waiting += names(part, everywhere=False)
    return seen


def imported_module(name: str) -> str | None:
    """Return the Python module of ours that a full name is, or is in; None for others."""
    parts = name.split(".")
    if parts[:2] == ["runtime", "_runtime"]:
        return None
    ends = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((end for end in ends if end in MODULES), None)


@cache
def arrows(module: str) -> frozenset[str]:
    """Return our modules that a module imports, inside functions and for types too."""
    result = {imported_module(name) for name in names(module, everywhere=True)}
    return frozenset(name for name in result if name and name != module)


def circles(modules: Iterable[str]) -> list[list[str]]:
    """Return cycles of imports, inside functions and for types too."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for module in modules:
        sorter.add(module, *arrows(module))
    try:
        sorter.prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def floor_of(module: str) -> int:
    """Return the index of a zoo module's layer in `STAIR`."""
    folder = module.split(".")[1] if "." in module else ""
    named = [number for number, floor in enumerate(STAIR) if folder in floor]
    return named[0] if named else len(STAIR)


def tops(imports: frozenset[str] | set[str]) -> set[str]:
    return {name.partition(".")[0] for name in imports}


def test_packages_import_those_below_only() -> None:
    """export → zoo → runtime → NumPy: `zoo` never imports `export`, `runtime` neither of them."""
    own = {"runtime": {"runtime"}, "zoo": {"zoo", "runtime"}, "export": set(PACKAGES)}
    for module in MODULES:
        package = module.partition(".")[0]
        used = tops(names(module, everywhere=True)) & {*PACKAGES}
        assert used <= own[package], module
        if package == "runtime":
            others = tops(names(module, everywhere=True)) - set(sys.stdlib_module_names)
            assert others <= {"runtime", "numpy"}, module
    assert any("zoo" in tops(names(m, True)) for m in MODULES if m.startswith("export."))
    assert any("runtime" in tops(names(m, True)) for m in MODULES if m.startswith("zoo."))


def test_the_stair_of_zoo() -> None:
    """Imports lead down, in functions and for types too."""
    wrong = []
    for module in MODULES:
        own = module.split(".")[:2]
        if own[0] != "zoo":
            continue
        for used in arrows(module):
            same = used.split(".")[:2] == own
            ground = floor_of(module) == 0 and floor_of(used) == 0
            top = floor_of(module) == len(STAIR)
            if used.startswith("zoo") and not (same or ground or top):
                wrong += [(module, used)] * (floor_of(used) >= floor_of(module))
    assert wrong == []
    folders = {
        module.split(".")[1] for module in MODULES if module.count(".") > 1 and "zoo" in module
    }
    assert {floor_of(f"zoo.{folder}") for folder in folders} < set(range(len(STAIR)))


def test_commands_are_options_and_one_call() -> None:
    """A command imports the function that does its work, when it is called; no other command."""
    on_top = {name for name in MODULES if name.startswith("zoo") and floor_of(name) == len(STAIR)}
    commands = on_top - {"zoo", "zoo.cli"}
    assert len(commands) > 18
    for module in sorted(commands):
        assert arrows(module) & on_top <= {"zoo.cli"}, module
        first = {imported_module(name) for name in names(module, everywhere=False)} - {None}
        assert first <= {"zoo.cli", "zoo.errors"}, module
        functions = [
            node
            for node in ast.parse(MODULES[module].read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef)
        ]
        for function in functions:
            inside = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
            called = any("command" in ast.unparse(entry) for entry in function.decorator_list)
            assert len(inside) == called, f"{module}.{function.name}"


def test_no_module_imports_itself_in_a_circle() -> None:
    """Imports inside functions and for types count too."""
    assert circles(MODULES) == []
    assert arrows("zoo") == {"zoo.engines"}, "imports in functions are seen"


@pytest.mark.parametrize("package", ["zoo.data", "zoo.images", "zoo.corruption", "runtime"])
def test_what_never_imports_pytorch(package: str) -> None:
    for module in MODULES:
        if module == package or module.startswith(f"{package}."):
            assert not {"torch", "zoo.training"} & tops(names(module, True)), module


def test_few_modules_import_pytorch() -> None:
    """Models, training, export and `WITH_PYTORCH`: all others start fast."""
    free = [
        name
        for name in MODULES
        if not name.startswith(("zoo.models.", "zoo.training.", "export"))
        and name not in WITH_PYTORCH
    ]
    slow = {name: needed(name) & {"torch", "onnx", "accelerate"} for name in free}
    assert {name: result for name, result in slow.items() if result} == {}
    assert len(free) > 80 and "torch" in needed("zoo.models.vae"), "the search finds what is there"


def test_applications_come_without_pytorch() -> None:
    """The interpreter agrees with what the sources say."""
    applications = {name for name in MODULES if name.startswith("zoo.applications.")}
    modules = sorted(applications - WITH_PYTORCH)
    program = (
        "import importlib, sys; sys.modules['torch'] = None\n"
        f"for name in {modules}: importlib.import_module(name)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=120)


def test_training_never_sees_the_test_images() -> None:
    """Training chooses by the validation part: nothing there reads the part `test`."""
    result = {}
    for module, file in MODULES.items():
        if module.startswith("zoo.training."):
            tree = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            result[module] = [
                node.lineno
                for node in tree
                if (isinstance(node, ast.Attribute) and node.attr == "test")
                or (isinstance(node, ast.Constant) and node.value == "test")
            ]
    assert len(result) > 20 and not any(result.values()), result


def compared_strings(file: Path) -> dict[int, set[str]]:
    """Return the strings that a file uses in comparisons or as keys of a table, by line."""
    by_line: dict[int, set[str]] = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Compare | ast.MatchValue):
            parts = list(ast.walk(node))
        elif isinstance(node, ast.Dict):
            parts = list(node.keys)
        strings = {
            part.value
            for part in parts
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        }
        if strings:
            by_line.setdefault(node.lineno, set()).update(strings)
    return by_line


def test_roles_are_told_apart_in_their_table_only() -> None:
    """Code that depends on a file's role is in the role's module, nowhere else in `export`."""
    table = MODULES["export.roles"]
    (names,) = [names for names in compared_strings(table).values() if len(names) > 5]
    asked = {
        f"{module}:{line}": strings & names
        for module, file in MODULES.items()
        if module.startswith("export") and file.parent != table.parent
        for line, strings in compared_strings(file).items()
        if strings & names
    }
    assert asked == {}
    assert compared_strings(MODULES["export.plan.phases"]), "the search finds what is there"


def test_files_are_not_too_long() -> None:
    folders = (*PACKAGES, "csrc", "tests", "benchmarks", "scripts")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*")]
    sources = [file for file in files if file.suffix in (".py", ".cc", ".cu", ".h", ".sh")]
    lengths = {str(file): len(file.read_bytes().splitlines()) for file in sources}
    assert len(lengths) > 300
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}
    assert f"none has more than {LONGEST}" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_backends_are_listed_in_one_table() -> None:
    """A new backend for CPUs touches its folder, registry.cc and CMakeLists.txt only."""
    backends = CSRC / "backends"
    for name in ("native", "openvino"):
        for file in (*backends.rglob("*.cc"), *backends.rglob("*.h"), *CSRC.glob("core/*")):
            if file.parent != backends / name and file.name != "registry.cc":
                used = [header for header in included(file) if f"backends/{name}/" in header]
                assert name in file.parts or used == [], file
    listed = re.compile(r"""[\[(]["']onnxruntime["'],\s*["']openvino["']""")
    tests = [file for file in (ROOT / "tests").rglob("*.py") if listed.search(file.read_text())]
    assert tests == [], "take them from support/backends.py"


ROOMS = {
    "ops": {"ops"},
    "base": {"base"},
    "format": {"format", "base", "ops"},
    "backends": {"backends", "format", "base", "ops"},
    "c": {"c", "format"},
    "core": {"core", "backends", "format", "base", "ops"},
    "python": {"python", "core", "backends", "format", "base", "ops"},
    "plugins": {"plugins", "ops"},
}
"""Which folders of `csrc` the files of each may include; all may include `include/zoo`."""


def included(file: Path) -> set[str]:
    """Our own headers that a file includes, by their paths below `csrc` or `csrc/include`."""
    result = re.findall(r'^#include "([^"]+/[^"]+)"', file.read_text("utf-8"), re.MULTILINE)
    return set(result)


def test_rooms_of_csrc_include_those_below_only() -> None:
    """python, c → core → backends → format → base, and the operators below all of them."""
    seen = set()
    for room, allowed in ROOMS.items():
        for file in (CSRC / room).rglob("*"):
            if file.suffix in (".h", ".cc", ".cu"):
                used = {header.partition("/")[0] for header in included(file)} - {"zoo"}
                assert used <= allowed, file
                seen |= {(room, other) for other in used}
    assert {("core", "backends"), ("backends", "format"), ("format", "base")} <= seen
    for file in (CSRC / "include").rglob("*.h"):
        assert {header.partition("/")[0] for header in included(file)} <= {"zoo"}, file


def test_headers_do_not_include_one_another_in_circles() -> None:
    headers = {str(file.relative_to(CSRC)): included(file) for file in CSRC.rglob("*.h")}
    headers = {name.removeprefix("include/"): others for name, others in headers.items()}
    order = list(TopologicalSorter(headers).static_order())
    assert len(order) > 80


def test_roles_are_told_apart_by_one_table() -> None:
    """csrc/format/roles.h has a row for each role; other code checks traits."""
    table = (CSRC / "format" / "roles.h").read_text("utf-8")
    roles = re.findall(r'^    \{"([a-z]+)",', table, re.MULTILINE)
    assert len(roles) >= 8
    named = re.compile(rf'role\w*\s*[!=]=\s*"|"(?:{"|".join(roles)})"')
    of_class = {f"core/{role}.cc" for role in roles}
    for room in ROOMS:
        for file in (CSRC / room).rglob("*"):
            name = str(file.relative_to(CSRC))
            if file.suffix in (".h", ".cc") and name not in {"format/roles.h", *of_class}:
                assert not named.search(file.read_text("utf-8")), name
