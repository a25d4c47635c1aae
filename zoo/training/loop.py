"""The training loop: epochs of updates, each followed by validation, a picture, a checkpoint."""

from __future__ import annotations

import copy
import json
import math
import signal
import sys
import time
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn
from tqdm import tqdm

from zoo.data import DataSet
from zoo.errors import ConfigError, TrainingError
from zoo.host import Interrupt, catch_interrupt, memory_errors
from zoo.images.atomic import check_name, lock_output, replace_file
from zoo.models.tensors import load_module, save_tensors
from zoo.training import checkpoint, curves
from zoo.training.batches import Batches
from zoo.training.metrics import MetricsWriter
from zoo.training.pictures import save_picture
from zoo.training.recipe import Recipe, from_dict, to_dict
from zoo.training.task import Task
from zoo.training.updates import PROJECTED, Updater, average_buffers, copy_from_first


@dataclass
class Progress:
    """Position in a run: finished epochs and steps, the best epoch's metric, the epoch's sums."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best: float | None = None
    sums: dict[str, float] = field(default_factory=dict)


class Trainer:
    """One training run of a model in the folder `out`.

    `model` has a dataclass `config`, and `task` trains it. Under `accelerate launch` (or torchrun)
    every process creates a Trainer and takes its share of each batch; the first one writes. Sets
    the seeds of PyTorch from the recipe. A run is reproducible on one device with the same number
    of threads and processes, however often it is interrupted and resumed.
    """

    def __init__(
        self,
        name: str,
        model: nn.Module,
        task: Task,
        data: DataSet,
        recipe: Recipe,
        out: Path,
        cpu: bool = False,
        quiet: bool = False,
    ) -> None:
        precision = {"fp32": "no"}.get(recipe.precision, recipe.precision)
        self.accelerator = Accelerator(mixed_precision=precision, cpu=cpu)
        self.device = self.accelerator.device
        self.name, self.task, self.data, self.recipe, self.out = name, task, data, recipe, out
        if recipe.precision == "fp16" and self.device.type == "cpu":
            raise ConfigError("precision fp16 needs a GPU; use bf16 or fp32 on a CPU")
        shares = self.accelerator.num_processes
        if recipe.batch_size % shares:
            raise ConfigError(
                f"batch size {recipe.batch_size} must be a multiple of the {shares} processes"
            )
        if len(data.train) < recipe.batch_size:
            raise ConfigError(
                f"batch size must be at most the {len(data.train)} training images, "
                f"got {recipe.batch_size}"
            )
        images = recipe.epoch_images or len(data.train)
        self.steps_per_epoch = max(1, images // recipe.batch_size)
        self.steps = self.steps_per_epoch * recipe.epochs
        torch.backends.cudnn.deterministic = True
        task.equip(model)
        self.model = model.to(self.device, memory_format=torch.channels_last)
        if not task.wrapped:
            copy_from_first(self.model, self.accelerator)
        self.average = copy.deepcopy(self.model) if recipe.ema_decay else self.model
        self.average.requires_grad_(self.average is self.model)
        optimizers = task.optimizers(self.model, recipe)
        if task.wrapped:
            prepared = self.accelerator.prepare(self.model, *optimizers)
            self.wrapped, self.optimizers = prepared[0], list(prepared[1:])
        else:
            self.wrapped = self.model
            self.optimizers = [self.accelerator.prepare(optimizer) for optimizer in optimizers]
        self.update = Updater(
            self.accelerator, self.optimizers, recipe.gradient_clip, average=not task.wrapped
        )
        share = self.accelerator.process_index
        self.batches = Batches(data, recipe, self.device, share, shares)
        self.progress = Progress()
        self.metrics: dict[str, float] = {}
        self.speed = 0.0
        self.quiet = quiet or not self.accelerator.is_main_process
        # Processes draw different noise.
        torch.manual_seed(recipe.seed + self.accelerator.process_index)

    @property
    def state_file(self) -> Path:
        """Path of the state that `resume` loads."""
        return self.out / "last" / "state.safetensors"

    @cached_property
    def _digest(self) -> str:
        return self.data.digest()

    def run(self, max_seconds: float = math.inf) -> int | None:
        """Train to the end of the recipe and write the results to `out`.

        Returns None at the end (or when the run, with its time before a resume, has lasted
        `max_seconds`), or the number of the signal that stopped it; in both cases the state is
        saved. Raises `TrainingError` for a loss or a metric that is not finite, naming the step;
        the checkpoint of the last good epoch is kept.
        """
        check_name(self.out)
        for folder in (self.out / "last", self.out / "pictures"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = lock_output(self.out) if self.accelerator.is_main_process else nullcontext()
        with lock, memory_errors(self.recipe.batch_size):
            return self._run(max_seconds)

    def _run(self, max_seconds: float) -> int | None:
        writer = None
        if self.accelerator.is_main_process:
            writer = MetricsWriter(self.out, self.progress.epoch)
        started = time.monotonic() - self.progress.seconds
        if self.progress.step == 0:
            self._prepare()
        try:
            with catch_interrupt() as interrupt:
                while self.progress.epoch < self.recipe.epochs:
                    complete = self._train_epoch(interrupt, started, max_seconds)
                    if complete:
                        self._report(writer, started)
                        continue
                    self.progress.seconds = time.monotonic() - started
                    self._save_state()
                    if self._any_process(bool(interrupt)):
                        return interrupt.signal or signal.SIGTERM
                    self._report(writer, started, complete=False)
                    break
        finally:
            self.batches.close()
            if writer:
                writer.close()
        return None

    def one_step(self) -> dict[str, float]:
        """Take the first update and return its losses, without writing anything."""
        with memory_errors(self.recipe.batch_size), closing(self.batches):
            return self._step()

    def close(self) -> None:
        """Wait for the other processes of the run and disconnect from them.

        Otherwise their communication threads are still running when the interpreter exits, and
        sometimes abort a successful run.
        """
        self.accelerator.wait_for_everyone()
        self.accelerator.end_training()

    def resume(self) -> None:
        """Continue from the state in `out`.

        Raises `TrainingError` if that run had another recipe (the number of epochs may differ: the
        learning rate then follows the new one), other images, or another number of processes.
        """
        tensors, values = checkpoint.load_state(self.state_file)
        saved = to_dict(from_dict(values["recipe"]))
        for name, value in to_dict(self.recipe).items():
            if name != "epochs" and saved[name] != value:
                raise TrainingError(
                    f"cannot resume {self.out} with {name} = {value!r}: the run has {saved[name]!r}"
                )
        if values["data"] != self._digest:
            raise TrainingError(
                f"cannot resume {self.out}: {self.data.name} holds other images or labels than "
                "when the run was saved"
            )
        if values["processes"] != self.accelerator.num_processes:
            raise TrainingError(f"{self.out} was trained with {values['processes']} processes")
        path = self.state_file
        load_module(self.model, checkpoint.select(tensors, "model."), path)
        if self.average is not self.model:
            load_module(self.average, checkpoint.select(tensors, "average."), path)
        for index, optimizer in enumerate(self.optimizers):
            checkpoint.unpack_optimizer(optimizer.optimizer, tensors, f"optimizer{index}.")
        if self.accelerator.scaler is not None and values["scaler"]:
            self.accelerator.scaler.load_state_dict(values["scaler"])
        random = checkpoint.select(tensors, f"random{self.accelerator.process_index}.")
        checkpoint.restore_random_state(random, self.device)
        self.progress = Progress(**values["progress"])
        self.metrics = values["metrics"]

    def _prepare(self) -> None:
        """Let the task prepare the model of a new run; write its report to preparation.jsonl."""
        lines = self.task.prepare(self.model, self.data, self.recipe)
        if self.average is not self.model:
            self.average.load_state_dict(self.model.state_dict())
        if lines and self.accelerator.is_main_process:
            with replace_file(self.out / "preparation.jsonl") as temporary:
                temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def _train_epoch(self, interrupt: Interrupt, started: float, max_seconds: float) -> bool:
        """Run the remaining steps of the epoch; return False if interrupted."""
        done = self.progress.step - self.progress.epoch * self.steps_per_epoch
        self.wrapped.train()
        began = time.monotonic()
        with tqdm(
            desc=f"epoch {self.progress.epoch + 1}/{self.recipe.epochs}",
            total=self.steps_per_epoch * self.recipe.batch_size,
            initial=done * self.recipe.batch_size,
            unit=" images",
            disable=self.quiet,
            mininterval=0.5,
        ) as bar:
            for batch in range(done, self.steps_per_epoch):
                if self._any_process(bool(interrupt) or time.monotonic() - started >= max_seconds):
                    return False
                losses = self._step()
                for name, value in losses.items():
                    self.progress.sums[name] = self.progress.sums.get(name, 0.0) + value
                self.progress.step += 1
                bar.set_postfix({self.task.headline: f"{losses[self.task.headline]:.2f}"}, False)
                bar.update(self.recipe.batch_size)
                images = (batch + 1 - done) * self.recipe.batch_size
                self.speed = images / (time.monotonic() - began)
        return True

    def _step(self) -> dict[str, float]:
        """Update the model on the next batch; return this process's losses."""
        self.update.step = self.progress.step
        self.update.set_learning_rate(self.recipe.learning_rate_at(self.progress.step, self.steps))
        batch = self.batches(self.progress.step)
        losses = self.task.step(self.wrapped, batch, self.update)
        if not self.task.wrapped:
            average_buffers(self.model, self.accelerator)
        values = {name: float(value.detach()) for name, value in losses.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} is {value} at step {self.progress.step + 1} "
                    f"(epoch {self.progress.epoch + 1}); the last good checkpoint is kept"
                )
        self._update_average()
        return values

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.average is self.model:
            return
        # A short memory at first keeps the random start out of the average.
        updates = self.progress.step + 1
        decay = min(self.recipe.ema_decay, (1 + updates) / (10 + updates))
        averages, parameters = list(self.average.parameters()), list(self.model.parameters())
        torch._foreach_lerp_(averages, parameters, 1 - decay)
        for average, buffer in zip(self.average.buffers(), self.model.buffers(), strict=True):
            average.copy_(buffer)

    def _report(self, writer: MetricsWriter | None, started: float, complete: bool = True) -> None:
        """Measure and write the results of an epoch, or of the finished part of it."""
        progress = self.progress
        done = progress.step - progress.epoch * self.steps_per_epoch
        if done == 0:
            return
        values = {
            f"train_{name}": self._mean_over_processes(total / done)
            for name, total in progress.sums.items()
        }
        self.average.eval()
        self.task.settle(self.average, self.data)
        self.metrics = self.task.evaluate(self.average, self.data)
        for name, value in self.metrics.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{name} is {value} after step {progress.step} (epoch {progress.epoch + 1}); "
                    "the last good checkpoint is kept"
                )
        progress.seconds = time.monotonic() - started
        values |= self.metrics
        values |= {
            "step": progress.step,
            "seconds": progress.seconds,
            "images_per_second": self.speed,
        }
        number = progress.epoch + 1
        best = self._update_best()
        if writer:
            sheet = self.task.picture(self.average, self.data, self.recipe.seed)
            save_picture(self.out / "pictures" / f"epoch-{number:03d}.png", sheet)
            notes = self.task.notes(values)
            writer.write(number, values, sheet, notes)
            curves.draw(writer.path, self.out / "pictures" / "curves.png")
            for note in [] if self.quiet else notes:
                print(f"epoch {number}: {note}", file=sys.stderr)
            self._save_results(self.out)
            if best:
                self._save_results(self.out / "best")
        if complete:
            progress.epoch, progress.sums = number, {}
            self._save_state()

    def _update_best(self) -> bool:
        """Return True if this epoch is the best so far, and record it."""
        if self.task.best is None or self.task.best not in self.metrics:
            return False
        value, best = self.metrics[self.task.best], self.progress.best
        if best is not None and value >= best:
            return False
        self.progress.best = value
        return True

    def _save_results(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        tensors = {
            name: value
            for name, value in self.average.state_dict().items()
            if not name.startswith(PROJECTED)
        }
        save_tensors(folder / "checkpoint.safetensors", tensors, {"format": "pt"})
        whole, rest = divmod(self.progress.step, self.steps_per_epoch)
        description = {
            "model": self.name,
            "config": asdict(self.model.config),
            "data": self.data.name,
            "recipe": to_dict(self.recipe),
            "seed": self.recipe.seed,
            "epochs": whole if not rest else round(self.progress.step / self.steps_per_epoch, 3),
            "seconds": round(self.progress.seconds),
            "device": self._device_name(),
            "metrics": self.metrics,
            "measured_on": "validation",
            "classes": self.data.classes,
            "attributes": self.data.attributes,
        }
        with replace_file(folder / "config.json") as temporary:
            temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    def _device_name(self) -> str:
        """Return "2 CPU threads", or the name of a GPU; times the number of processes."""
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
        else:
            threads = torch.get_num_threads()
            name = f"{threads} CPU thread{'s' * (threads > 1)}"
        processes = self.accelerator.num_processes
        return name if processes == 1 else f"{processes} × {name}"

    def _save_state(self) -> None:
        random = gather_object([checkpoint.random_state(self.device)])
        if not self.accelerator.is_main_process:
            return
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.average is not self.model:
            average = self.average.state_dict()
            tensors |= {f"average.{name}": value for name, value in average.items()}
        for index, optimizer in enumerate(self.optimizers):
            tensors |= checkpoint.pack_optimizer(optimizer.optimizer, f"optimizer{index}.")
        for process, states in enumerate(random):
            tensors |= {f"random{process}.{name}": value for name, value in states.items()}
        scaler = self.accelerator.scaler
        values: dict[str, Any] = {
            "progress": asdict(self.progress),
            "metrics": self.metrics,
            "recipe": to_dict(self.recipe),
            "data": self._digest,
            "processes": self.accelerator.num_processes,
            "scaler": scaler.state_dict() if scaler is not None else None,
        }
        checkpoint.save_state(self.state_file, tensors, values)

    def _mean_over_processes(self, value: float) -> float:
        """Return the mean over the processes."""
        if self.accelerator.num_processes == 1:
            return value
        own = torch.tensor(value, device=self.device, dtype=torch.float32)
        return float(self.accelerator.reduce(own, "mean"))

    def _any_process(self, flag: bool) -> bool:
        """Return True if the flag is set in any process, so that all leave the loop together."""
        if self.accelerator.num_processes == 1:
            return flag
        count = self.accelerator.reduce(torch.tensor(float(flag), device=self.device))
        return bool(count.item() > 0)
