"""The CPU benchmark: what is refused, what is kept, and what people are shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import runtime
from benchmarks import cpu_limits, cpu_report, cpu_results, instances, machine, startup, throughput
from benchmarks.cpu_cases import compare, open_case
from zoo import engine_path

CPUINFO = {
    "amd-avx512-bf16": "vendor_id\t: AuthenticAMD\nflags\t: fpu avx2 avx512f avx512_bf16\n",
    "amd-avx2": "vendor_id\t: AuthenticAMD\nflags\t: fpu avx avx2 fma\n",
    "intel-amx": "vendor_id : GenuineIntel\nflags : avx2 avx512f avx512_bf16 amx_tile amx_bf16\n",
    "intel-avx512": "vendor_id : GenuineIntel\nflags : avx2 avx512f\n",
    "arm-neon": "processor : 0\nFeatures : fp asimd\nCPU implementer : 0x41\n",
    "other-generic": "vendor_id : Other\nflags : fpu\n",
}


@pytest.mark.parametrize("kind", CPUINFO)
def test_kinds_of_cpus(kind: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO[kind])
    assert machine.kind(str(tmp_path / "cpuinfo")) == kind


def make_row(model: str, key: str, batch: int, rate: float | None) -> dict[str, Any]:
    contender = throughput.CONTENDERS[key]
    row = {
        "model": model,
        "role": "generator",
        "contender": contender.name,
        "key": key,
        "precision": contender.precision,
        "ours": contender.ours,
        "batch": batch,
    }
    if rate is None:
        return {**row, "error": "RuntimeError: images differ by 9 levels"}
    milliseconds = dict.fromkeys(("p50", "p95", "p99"), 1e3 * batch / rate)
    return {
        **row,
        "psnr_db": 50.0,
        "images_per_second": rate,
        "ms_per_batch": milliseconds,
        "memory_mib": 9,
    }


@pytest.fixture
def report() -> dict[str, Any]:
    rates = {
        ("vae", 1): {"torch": 100.0, "onnxruntime": 200.0, "zoo": 500.0, "openvino": None},
        ("vae", 16): {"torch": 4000.0, "zoo": 3000.0, "openvino-bf16": 1000.0, "zoo-bf16": 7000.0},
        ("gan", 1): {"zoo": 50.0, "torch-bf16": 10.0},
    }
    layers = [{"name": "a", "kind": "dense", "operations": 1e6, "seconds": 1e-5, "bytes": 1e4}]
    limits = {"isa": "avx2", "operations_per_second": 2e11, "layers": layers, "batch": 16}
    bandwidths = {"cache_bytes_per_second": 1e11, "memory_bytes_per_second": 1e10}
    return {
        "command": "python -m benchmarks.throughput --models all",
        "machine": {"cpu": "Some CPU", "kind": "amd-avx2", "cores": 2},
        "rows": [
            make_row(model, key, batch, rate)
            for (model, batch), contenders in rates.items()
            for key, rate in contenders.items()
        ],
        "limits": [
            {"model": "vae", "precision": "fp32", **limits, **bandwidths},
            {"model": "vae", "precision": "bf16", "batch": 16, "error": "none", **bandwidths},
        ],
    }


def test_the_table_compares_with_the_fastest_peer_of_equal_precision(
    report: dict[str, Any],
) -> None:
    lines = cpu_report.tabulate(report).splitlines()
    cells = {line.split("|")[1].strip(): line for line in lines if line.startswith("| `")}
    assert cells == {
        "`vae`": "| `vae` | 500 (2.50×) | 3,000 (0.75×) | – | 7,000 (7.00×) |",
        "`gan`": "| `gan` | 50 | – | – | – |",
    }
    assert "2 cores of Some CPU (amd-avx2), `python -m benchmarks.throughput" in lines[0]
    missing = cpu_report.explain_missing(report["rows"]).splitlines()
    assert "- `vae`, OpenVINO fp32, batch 1: images differ by 9 levels" in missing


def test_the_second_table_has_eager_pytorch_and_the_ceilings(report: dict[str, Any]) -> None:
    lines = cpu_report.tabulate_ratios(report).splitlines()
    assert [line for line in lines if line.startswith("| `")] == [
        "| `vae` | 5.0× | 5.0× | 50% | – |"
    ]
    assert cpu_report.tabulate_ratios({**report, "rows": []}) == ""


def test_the_console_shows_ratios_and_refusals(report: dict[str, Any]) -> None:
    lines = cpu_results.table(report["rows"], "vae").splitlines()
    ours = next(line for line in lines if line.startswith("generator-zoo fp32      1"))
    assert ours.split()[3:6] == ["500", "2.50", "5.00"]
    assert any(line.endswith("images differ by 9 levels") for line in lines)
    assert not any("gan" in line.split()[0] for line in lines[1:] if "zoo" not in line)


def test_pictures_and_the_section_of_a_document(
    report: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report["rows"].append({**make_row("vae.encoder", "zoo", 1, 70.0), "role": "encoder"})
    file, speed, readme = (tmp_path / name for name in ("cpu-x.json", "speed.md", "README.md"))
    file.write_text(json.dumps(report))
    monkeypatch.setattr(cpu_report, "SPEED", speed)
    monkeypatch.setattr(cpu_report, "README", readme)
    for document in (speed, readme):
        begin, end = cpu_report.BEGIN, cpu_report.END
        document.write_text(f"before\n{begin}\nold\n{end}\nafter\n", "utf-8")
    for _ in range(2):
        assert CliRunner().invoke(cpu_report.main, [str(file), "--write"]).exit_code == 0
    for document, encoders in ((speed, 1), (readme, 0)):
        text = document.read_text("utf-8")
        assert text.startswith("before\n<!--") and text.endswith("-->\nafter\n")
        assert "old" not in text and text.count("500 (2.50×)") == 1
        assert text.count("| `vae.encoder` | 70 |") == encoders
    for name in ("cpu-x.png", "cpu-x.roofline.png"):
        with Image.open(tmp_path / name) as picture:
            assert picture.width == 1100 and len(np.unique(np.asarray(picture))) > 10
    readme.write_text("no markers\n", "utf-8")
    done = CliRunner().invoke(cpu_report.main, [str(file), "--write"])
    assert done.exit_code == 1 and "README.md has no line" in done.output


def test_nothing_to_draw_writes_no_pictures(report: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "cpu-x.json"
    file.write_text(json.dumps({**report, "rows": [], "limits": []}))
    assert CliRunner().invoke(cpu_report.main, [str(file)]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cpu-x.json"]


class Here:
    """A contender in this process, with the interface of benchmarks.processes.Process."""

    def __init__(self, key: str, kind: Any, case: Any, serve: Any) -> None:
        self.key, self.kind = key, kind
        self.contender = kind(case)

    def ask(self, task: str, batch: int, argument: Any = None) -> Any:
        if task == "prepare":
            return self.contender.prepare(batch)
        if task == "compute":
            return throughput.compute(self.contender, batch, argument)
        return [0.5, 0.25], 3 * 2**20

    def stop(self) -> None: ...


class Brighter(Here):
    """One whose results are wrong, as if it had computed another graph."""

    def ask(self, task: str, batch: int, argument: Any = None) -> Any:
        answer = super().ask(task, batch, argument)
        return [array + array.dtype.type(2) for array in answer] if task == "compute" else answer


class Dying(Here):
    """One that ends while it is measured."""

    def ask(self, task: str, batch: int, argument: Any = None) -> Any:
        if task == "measure":
            raise RuntimeError("the process ended (-9)")
        return super().ask(task, batch, argument)


@pytest.mark.parametrize("model", ["denoising-ae", "bigan.encoder"])
def test_a_contender_with_wrong_results_is_refused(model: str) -> None:
    with open_case(engine_path(f"{model}.onnx"), 1) as case:
        kinds = [("onnxruntime", Here), ("zoo", Brighter), ("openvino", Dying)]
        processes: Any = [kind(key, throughput.CONTENDERS[key], case, None) for key, kind in kinds]
        right, wrong, dead = throughput.run(case, model, 16, processes, 3, 0.0)
    assert right["images_per_second"] == 16 * 2 / 0.75 and right["memory_mib"] == 3
    assert right["ms_per_batch"]["p50"] == 375 and len(right["rounds"]) == 3
    assert "differ" in wrong["error"] and "images_per_second" not in wrong
    assert dead["error"] == "the process ended (-9)" and "images_per_second" not in dead


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-4), ("bf16", 0.05)])
def test_floats_may_differ_by_a_share_of_their_norm(precision: str, bound: float) -> None:
    reference = [np.full((4, 4), 100, np.float32)]
    assert compare([reference[0] * (1 - bound / 2)], reference, precision)["relative_error"] > 0
    for wrong in (reference[0] * (1 + 2 * bound), np.full((4, 4), np.nan, np.float32)):
        with pytest.raises(RuntimeError, match="outputs differ by"):
            compare([wrong.astype(np.float32)], reference, precision)
    with pytest.raises(RuntimeError, match=r"expected float32\(4, 4\), got float32\(4,\)"):
        compare([reference[0][0]], reference, precision)


def invoke(out: Path, *arguments: str) -> Any:
    options = ["--models", "bigan.encoder", "--contenders", "onnxruntime,zoo", "--seconds", "0.01"]
    options += ["--rounds", "1", "--out", str(out), *arguments]
    return CliRunner().invoke(throughput.main, options)


def test_resume_keeps_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "Process", Here)
    out = tmp_path / "new" / "x.json"
    assert invoke(out, "--batch", "1").exit_code == 0
    first = json.loads(out.read_text("utf-8"))
    assert [row["key"] for row in first["rows"]] == ["onnxruntime", "zoo"]
    assert first["machine"]["kind"] == machine.kind() and len(first["limits"]) == 2
    for row in first["rows"]:
        row["images_per_second"] = 1.0
    out.write_text(json.dumps(first))
    assert invoke(out, "--batch", "1,2", "--resume").exit_code == 0
    second = json.loads(out.read_text("utf-8"))
    assert [(row["batch"], row["key"]) for row in second["rows"]] == [
        (batch, key) for batch in (1, 2) for key in ("onnxruntime", "zoo")
    ]
    assert second["rows"][:2] == first["rows"] and "--batch 1,2" in second["command"]
    # Rows that were not measured in turns cannot be compared: one more contender, and all run.
    assert invoke(out, "--batch", "1", "--resume", "--contenders", "torch,zoo").exit_code == 0
    third = json.loads(out.read_text("utf-8"))["rows"]
    assert [(row["batch"], row["key"]) for row in third[2:]] == [(1, "torch"), (1, "zoo")]
    assert all(row["images_per_second"] > 1 for row in third)
    assert invoke(out, "--batch", "1").exit_code == 0
    assert len(json.loads(out.read_text("utf-8"))["rows"]) == 2


def test_another_machine_cannot_resume(tmp_path: Path, report: dict[str, Any]) -> None:
    out = tmp_path / "x.json"
    out.write_text(json.dumps(report))
    done = invoke(out, "--resume")
    assert done.exit_code == 1 and "cpu is Some CPU, on this machine" in done.output


def test_contenders_in_processes(tmp_path: Path) -> None:
    done = invoke(tmp_path / "x.json", "--batch", "4")
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "x.json").read_text("utf-8"))["rows"]
    assert all(row["images_per_second"] > 0 and row["memory_mib"] > 10 for row in rows)


def test_models_are_all_that_can_be_drawn() -> None:
    names = throughput.list_models()
    assert {"vae", "vae.encoder", "stargan", "fashion-classifier", "stylegan"} <= set(names)
    assert not {"linear-ae", "linear-ae.encoder", "stylegan.mapping"} & set(names)
    done = CliRunner().invoke(throughput.main, ["--models", "linear-ae"])
    assert done.exit_code == 2 and "linear-ae has no prior" in done.output
    done = CliRunner().invoke(throughput.main, ["--contenders", "zoo,pytorch"])
    assert done.exit_code == 2 and "unknown 'pytorch'" in done.output


def test_bytes_of_layers_by_their_definition() -> None:
    path = engine_path("vae.encoder.onnx")
    layers = runtime.measure_layers(path, seconds=0).layers
    layer = next(layer for layer in layers if layer.name == "conv2d_1")
    # 4×4 kernels from 32 maps of 14×14 to 64 of 7×7, with a bias.
    weights, maps = 64 * 32 * 16 + 64, 32 * 14**2 + 64 * 7**2
    graph = cpu_limits.Graph(path)
    assert graph.count_bytes(layer, "fp32", 16) == 4 * (weights / 16 + maps)
    assert graph.count_bytes(layer, "bf16", 1) == 2 * (weights + maps)


@pytest.mark.parametrize(("model", "fewest"), [("dcgan", 4), ("gan", 3), ("fashion-classifier", 8)])
def test_every_layer_of_products_is_on_the_plot(model: str, fewest: int) -> None:
    entry = cpu_limits.measure_layers(engine_path(f"{model}.onnx"), "fp32", 0.0)
    assert len(entry["layers"]) == fewest and entry["operations_per_second"] > 0
    assert all(layer["bytes"] > 0 and layer["seconds"] > 0 for layer in entry["layers"])


def test_a_layer_that_the_cpu_cannot_compute_is_an_error_in_the_report() -> None:
    entry = cpu_limits.measure_layers(engine_path("stylegan.mapping.onnx"), "int4", 0.0)
    assert "precision" in entry["error"] and "layers" not in entry


def test_the_bandwidth_of_copies() -> None:
    assert cpu_limits.measure_bandwidth(2**17, 0.0) > 0


@pytest.mark.parametrize(
    "model", ["vae", "linear-ae", "stargan", "denoising-ae", "vae.encoder", "face-attributes"]
)
def test_programs_that_measure_start_up_run(model: str) -> None:
    exec(startup.first_image(engine_path(model), "native"), {})


def test_start_up_is_measured_and_compared_with_an_earlier_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, first, second = tmp_path / "speed.md", tmp_path / "1.json", tmp_path / "2.json"
    document.write_text("\n".join(startup.MARKERS), "utf-8")
    monkeypatch.setattr(startup, "DOCUMENT", document)
    monkeypatch.setattr(
        startup,
        "measure",
        lambda commands, _: (
            dict.fromkeys(
                (name for name, _ in commands),
                {kind: 2.0 for _, kind in commands if kind != "Python"},
            )
            | {"pass": {"Python": 1.0}}
        ),
    )
    for options in (["--out", first], ["--before", first, "--out", second, "--write"]):
        done = CliRunner().invoke(startup.main, [*map(str, options), "--program", "/bin/true"])
        assert done.exit_code == 0, done.output
    assert json.loads(second.read_text())["before"] == json.loads(first.read_text())["milliseconds"]
    assert "| `vae` | 2 (2) | 2 (2) |" in document.read_text("utf-8")


def test_commands_are_timed_in_turns(tmp_path: Path) -> None:
    log = tmp_path / "log"
    commands = {(name, "C++"): ["sh", "-c", f"echo {name} >> {log}"] for name in ("a", "b")}
    times = startup.measure(commands, 2)
    assert log.read_text().split() == ["a", "b"] * 3 and times["a"]["C++"] > 0


def test_the_efficiency_of_instances_leaves_the_cores_as_they_were(tmp_path: Path) -> None:
    cores, out = os.sched_getaffinity(0), tmp_path / "instances.json"
    options = ["--models", "vae", "--batch", "2", "--precision", "fp32", "--seconds", "0", "--pin"]
    done = CliRunner().invoke(instances.main, [*options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    (row,) = json.loads(out.read_text())["rows"]
    assert row["efficiency"] > 0 and row["ms_one"] > 0 and os.sched_getaffinity(0) == cores
    assert len(done.output.splitlines()) == 2
