"""Sphinx: the documentation as pages, and the reference of the Python API out of its docstrings."""

from importlib.metadata import version as version_of

project = "generator-zoo"
release = version = version_of("generator-zoo")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"{project} {version}"
exclude_patterns = ["gallery"]

# Docstrings are plain text, in which `name` is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
python_maximum_signature_line_length = 88

myst_heading_anchors = 3
# Files of the repository that are no pages.
suppress_warnings = ["myst.xref_missing"]
