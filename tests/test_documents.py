"""The documents: links that lead somewhere, and a page for each."""

import re
from pathlib import Path

import pytest

from repository import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    links = [one or two for one, two in LINK.findall(document.read_text("utf-8"))]
    files = [link for link in links if "://" not in link]
    assert [link for link in files if not (document.parent / link).exists()] == []


def test_every_guide_is_in_the_index() -> None:
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text("utf-8").split("\n")
    pages = [path.relative_to(docs).with_suffix("") for path in docs.rglob("*.md")]
    assert {str(page) for page in pages} - {"index"} <= set(index)


def test_the_function_of_every_command_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "api" / "zoo.md").read_text("utf-8")
    call = re.compile(
        r"^    from (zoo\.(?:applications|evaluation|training|data)\.\w+) import", re.M
    )
    modules = {
        module
        for command in (ROOT / "zoo").glob("*.py")
        for module in call.findall(command.read_text("utf-8"))
    }
    assert len(modules) > 15
    assert {module for module in modules if f":: {module}" not in reference} == set()


TEST = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")


def test_the_tests_that_the_course_names_exist() -> None:
    page = ROOT / "docs" / "course.md"
    named = TEST.findall(page.read_text("utf-8"))
    assert len(named) > 40
    missing = [
        name
        for name, file in named
        if f"def {name}(" not in (page.parent / file).read_text("utf-8")
    ]
    assert missing == []


def test_the_course_shows_every_model() -> None:
    page = (ROOT / "docs" / "course.md").read_text("utf-8")
    recipes = (ROOT / "zoo" / "recipes").glob("*.toml")
    assert [name for name in sorted(path.stem for path in recipes) if f"`{name}`" not in page] == []
