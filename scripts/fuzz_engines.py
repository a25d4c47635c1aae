"""Mutated engine files, loaded and run by every backend in separate processes.

    python scripts/fuzz_engines.py --seconds 60 csrc/fuzz/corpus/engines

Files are first used unchanged, then mutated: bytes anywhere, or parts of the graph. Each must run
or raise an error of this project. A file that ends a process, takes longer than `SLOW` seconds or
raises anything else is a failure: it is copied to the folder `--out`, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, StringStringEntryProto

KEY, DIGEST = "zoo.manifest", "file_blake2b"
SLOW = 30.0
MEMORY = 16 << 30
"""Bytes of address space of a process: libraries reserve more than they use."""
FILES = 300
"""Files per process: the memory that a library keeps for each adds up."""
OPERATORS = "Add Cast Concat Conv Expand Gather Gemm MatMul Reshape Slice Softmax Split".split()
NUMBERS = (-1, 0, 1, 2, 3, 7, 255, 2**31 - 1, 2**31, -(2**31), 2**62)


def work() -> None:
    """Run the files named on standard input, with one line per answer on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import numpy as np

    import runtime

    def use(path: str, role: str, **options: str) -> None:
        if role in ("generator", "synthesis"):
            generator = runtime.Generator(path, instances=1, **options)
            generator.decode(np.zeros((1, generator.latent_width), np.float32))
            if generator.manifest["latent"]["prior"] == "normal" and role == "generator":
                generator.sample(2, seed=1)
            return
        if role == "mapping":
            mapping = runtime.Mapping(path, instances=1, **options)
            mapping.map(np.zeros((1, mapping.manifest["latent"]["width"]), np.float32))
            return
        kinds = {
            "encoder": (runtime.Encoder, "encode", "image"),
            "classifier": (runtime.Classifier, "classify", "image"),
            "translator": (runtime.Translator, "translate", "input"),
        }
        kind, method, name = kinds.get(role, kinds["encoder"])
        engine = kind(path, instances=1, **options)
        size = engine.manifest[name]
        image = np.zeros((1, size["height"], size["width"], size["channels"]), np.uint8)
        getattr(engine, method)(image)

    for line in sys.stdin:
        path, backend = line.rstrip("\n").split("\t")
        try:
            document = runtime.manifest.read(path)
            use(path, document["role"], backend=backend)
            if backend == "native" and "int8" in document:
                use(path, document["role"], backend=backend, precision="int8")
            answer = "ran"
        except runtime.errors.Error as error:
            answer = type(error).__name__
            str(error).encode()
        except Exception as error:  # any other error is a failure
            answer = f"UNTYPED {type(error).__name__}: {error!r}"
        print(answer.replace("\n", " ")[:300], flush=True)


@dataclass
class Worker:
    """Process that is replaced when it has ended or has handled `FILES` files."""

    process: subprocess.Popen[str] | None = field(default=None)
    asked: int = 0

    def ask(self, path: Path, backend: str) -> str:
        """Return the process's answer for a file, or "DIED …" or "SLOW"."""
        if self.asked == FILES:
            self.close()
        if self.process is None:
            self.asked = 0
            self.process = subprocess.Popen(
                [sys.executable, __file__, "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self.process.stdin and self.process.stdout
        self.asked += 1
        try:
            self.process.stdin.write(f"{path}\t{backend}\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], SLOW)
            answer = self.process.stdout.readline() if ready else "SLOW"
        except BrokenPipeError:
            answer = ""
        if answer and answer != "SLOW":
            return answer.rstrip("\n")
        if answer == "SLOW":
            self.process.kill()
        status = self.process.wait()
        self.process = None
        return answer or f"DIED with status {status}"

    def close(self) -> None:
        """End the process."""
        if self.process is not None and self.process.stdin:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


def change_bytes(chance: random.Random, content: bytes) -> bytes:
    """Change a few bytes anywhere."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed))
        if chance.random() < 0.7:
            changed[at] ^= 1 << chance.randrange(8)
        elif chance.random() < 0.5:
            del changed[at : at + chance.randint(1, 30)]
        else:
            changed[at:at] = bytes(chance.randbytes(chance.randint(1, 10)))
    return bytes(changed)


def change_graph(chance: random.Random, content: bytes) -> bytes:
    """Change parts of the graph so that it stays valid Protocol Buffers, and drop the digest."""
    model = onnx.load_from_string(content)
    _drop_digest(model)
    for _ in range(chance.randint(1, 3)):
        chance.choice(CHANGES)(chance, model)
    return model.SerializeToString()


def _manifests(model: ModelProto) -> Iterator[tuple[StringStringEntryProto, dict[str, Any]]]:
    """Yield the metadata entry of the manifest, and its document, if it is valid JSON."""
    for entry in model.metadata_props:
        try:
            document = json.loads(entry.value) if entry.key == KEY else None
        except ValueError:
            continue
        if isinstance(document, dict):
            yield entry, document


def _drop_digest(model: ModelProto) -> None:
    for entry, document in _manifests(model):
        if document.pop(DIGEST, None):
            entry.value = json.dumps(document)


def _attribute(chance: random.Random, model: ModelProto) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if not nodes:
        return
    attribute = chance.choice(chance.choice(nodes).attribute)
    attribute.i = chance.choice(NUMBERS)
    if attribute.ints:
        attribute.ints[chance.randrange(len(attribute.ints))] = chance.choice(NUMBERS)


def _operands(chance: random.Random, model: ModelProto) -> None:
    node = chance.choice(model.graph.node)
    names = [name for other in model.graph.node for name in other.input]
    if node.input and chance.random() < 0.5:
        del node.input[chance.randrange(len(node.input))]
    elif names:
        node.input.append(chance.choice(names))


def _operator(chance: random.Random, model: ModelProto) -> None:
    chance.choice(model.graph.node).op_type = chance.choice(OPERATORS)


def _weights(chance: random.Random, model: ModelProto) -> None:
    if not model.graph.initializer:
        return
    tensor = chance.choice(model.graph.initializer)
    if tensor.dims and chance.random() < 0.4:
        tensor.dims[chance.randrange(len(tensor.dims))] = chance.choice((0, 1, 2, 5, 2**31 - 1))
    elif tensor.raw_data:
        data = bytearray(tensor.raw_data)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        tensor.raw_data = bytes(data)


def _shape(chance: random.Random, model: ModelProto) -> None:
    value = chance.choice([*model.graph.input, *model.graph.output])
    if value.type.tensor_type.shape.dim:
        axis = chance.choice(value.type.tensor_type.shape.dim)
        axis.dim_value = chance.choice((0, 1, 2, 2**31, 2**40))


def _range(chance: random.Random, model: ModelProto) -> None:
    """Change a range of the activations of a layer, for the precision int8."""
    for entry, document in _manifests(model):
        ranges = document["int8"]["ranges"] if "int8" in document else {}
        if ranges:
            ranges[chance.choice(list(ranges))] = [
                chance.choice((-3.4e38, -1e39, -1.0, -1e-40, 0)),
                chance.choice((-2, 0, 1e-45, 1.0, 3.4e38, "1", None)),
            ]
            entry.value = json.dumps(document)


def _remove_node(chance: random.Random, model: ModelProto) -> None:
    if len(model.graph.node) > 1:
        del model.graph.node[chance.randrange(len(model.graph.node))]


CHANGES: tuple[Callable[[random.Random, ModelProto], None], ...] = (
    _attribute,
    _operands,
    _operator,
    _weights,
    _shape,
    _range,
    _remove_node,
)


def main() -> int:
    """Run the fuzzer; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, nargs="*", help="folders of engine files")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=10**9, help="maximum number of files")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz/failures"))
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return 0
    seeds = sorted(path for folder in options.corpus for path in folder.glob("*.onnx"))
    if not seeds:
        parser.error("expected folders of engine files")
    import runtime

    backends = runtime.backends()
    options.out.mkdir(parents=True, exist_ok=True)
    chance, worker, answers, failures = random.Random(options.seed), Worker(), {}, 0
    end, count = time.monotonic() + options.seconds, 0
    case = options.out / "case.onnx"
    while count < len(seeds) or (count < options.files and time.monotonic() < end):
        if count < len(seeds):
            content = seeds[count].read_bytes()
        else:
            change = change_bytes if chance.random() < 0.4 else change_graph
            content = change(chance, chance.choice(seeds).read_bytes())
        case.write_bytes(content)
        for backend in backends:
            answer = worker.ask(case, backend)
            kind = answer.split(":")[0].split(" with")[0]
            answers[kind] = answers.get(kind, 0) + 1
            if kind.startswith(("UNTYPED", "DIED", "SLOW")):
                failures += 1
                failure = options.out / f"{backend}-{count}.onnx"
                failure.write_bytes(content)
                print(f"{failure}: {answer}", flush=True)
        count += 1
    worker.close()
    case.unlink()
    counts = ", ".join(f"{name} {answers[name]}" for name in sorted(answers))
    print(f"{count} files, {failures} failures: {counts}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
