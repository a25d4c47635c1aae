"""Paths of the repository and its folders."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
CSRC = ROOT / "csrc"
