"""The fuzzers: their corpus, which holds what failed once, and that they notice a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import runtime
from repository import CSRC, ROOT
from runtime.errors import EngineFileError

CORPUS = CSRC / "fuzz" / "corpus"
SCRIPT = ROOT / "scripts" / "fuzz_engines.py"
FAILURES = sorted(CORPUS.glob("engines/failure-*.onnx")) + sorted(CORPUS.glob("plans/failure-*"))
LOADS = {"failure-name-not-utf8.onnx", "failure-layer-twice-as-wide.onnx"}
"""What a library says of them is up to it: a name that is no UTF-8, and noise whose width is
computed in the graph."""


def test_the_corpus_is_small() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) <= 300_000


@pytest.mark.parametrize("path", FAILURES, ids=lambda path: path.name)
def test_what_failed_once_is_refused(path: Path) -> None:
    if path.name not in LOADS:
        with pytest.raises(EngineFileError):
            runtime.manifest.verify(path)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("manifests/*.json")), ids=lambda p: p.name)
def test_manifests(path: Path) -> None:
    text = path.read_text()
    if path.name.startswith("failure-"):
        with pytest.raises(EngineFileError):
            runtime.manifest.validate(text)
    else:
        runtime.manifest.validate(text)


@pytest.mark.parametrize("path", sorted(CORPUS.glob("engines/*.onnx")), ids=lambda p: p.name)
def test_seeds_are_good(path: Path) -> None:
    """Else nothing behind the first check would be reached."""
    if not path.name.startswith("failure-"):
        runtime.manifest.verify(path)


def test_a_failure_is_noticed(tmp_path: Path) -> None:
    """A process that dies, one that hangs, and an exception that is not the project's."""
    code = f"""
import sys
sys.path.insert(0, {str(SCRIPT.parent)!r})
import fuzz_engines as f
f.SLOW = 5.0
import subprocess
real = subprocess.Popen
def popen(command, **rest):
    return real([sys.executable, "-c", WORK], **rest)
WORK = '''
import os, sys, time
for line in sys.stdin:
    name = line.split(chr(9))[0]
    if name == "dies": os.abort()
    if name == "hangs": time.sleep(100)
    print(name, flush=True)
'''
subprocess.Popen = popen
worker = f.Worker()
print([worker.ask(name, "native") for name in ("ran", "dies", "ran", "hangs", "ran")])
worker.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "['ran', 'DIED with status -6', 'ran', 'SLOW', 'ran']"
