"""The job files of docs/jobs: checked, and run as their schedulers would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from repository import ROOT
from shards import contents
from zoo.generation.run import generate

SLURM = ROOT / "docs" / "jobs" / "generate.sbatch"
KUBERNETES = ROOT / "docs" / "jobs" / "generate.yaml"
PARTS = 16

ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": str(ROOT),
}


def assert_made(folder: Path, parts: list[int]) -> None:
    """The folder holds what these parts of 20 images, in shards of one, should be."""
    whole = folder.with_name("whole")
    options: dict[str, Any] = {"seed": 7, "shard_size": 1, "backend": "native", "workers": 1}
    generate("cgan.onnx", str(whole), count=20, **options)
    shards = [shard for shard in range(20) if shard % PARTS in parts]
    names = [f"{shard:08}.tar" for shard in shards]
    assert contents(folder) == {name: contents(whole)[name] for name in names}


def test_an_array_job_of_slurm(tmp_path: Path) -> None:
    subprocess.run(["bash", "-n", SLURM], check=True)
    directives = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", SLURM.read_text(), re.M))
    assert directives["array"] == f"0-{PARTS - 1}"
    for task in (2, 15):
        variables = {
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_CPUS_PER_TASK": directives["cpus-per-task"],
            "OUT": str(tmp_path / "set"),
            "IMAGES": "20",
        }
        done = subprocess.run(
            ["bash", SLURM, "--shard-size", "1"],
            env=ENVIRONMENT | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert_made(tmp_path / "set", [2, 15])
    done = subprocess.run(["bash", SLURM], env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode and b"OUT: the shared folder" in done.stderr


def test_an_indexed_job_of_kubernetes(tmp_path: Path) -> None:
    job = yaml.safe_load(KUBERNETES.read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == PARTS
    pod = spec["template"]["spec"]
    # Kubernetes takes a policy of failures only with this one.
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["Ignore", "FailJob"]
    assert spec["podFailurePolicy"]["rules"][1]["onExitCodes"]["containerName"] == container["name"]
    assert f"--workers={container['resources']['requests']['cpu']}" in container["args"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    for index in (3, 15):
        arguments = [
            text.replace("$(JOB_COMPLETION_INDEX)", str(index))
            .replace("/data/set", str(tmp_path / "set"))
            .replace("--count=1e7", "--count=20")
            for text in container["args"]
        ]
        done = subprocess.run(
            [*container["command"], *arguments, "--shard-size=1"],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert_made(tmp_path / "set", [3, 15])
