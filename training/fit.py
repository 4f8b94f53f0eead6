"""Train one net for a number of core-minutes: one long cosine, resumable at any moment.

Time counts as processor time of this process, so a busy machine makes it later, not worse. Every
checkpoint holds all that is needed to go on.
"""

import copy
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from training.tasks import Task

BATCH = 8
_PEAK_RATE = 2e-3
_WARM_UP = 150
_AVERAGE = 0.998
_CHECKPOINT_S = 60.0
_SCORE_S = 240.0


@dataclass(frozen=True, slots=True)
class Budget:
    """Processor minutes to spend; `wall_minutes` ends the schedule early on a busy machine."""

    core_minutes: float
    wall_minutes: float = math.inf


@dataclass(slots=True)
class _Clock:
    """How much of the budget is spent, over all starts."""

    budget: Budget
    core_s: float = 0.0
    wall_s: float = 0.0

    def spend(self, core_s: float, wall_s: float) -> None:
        self.core_s += core_s
        self.wall_s += wall_s

    def share(self) -> float:
        return min(
            1.0, max(self.core_s / self.budget.core_minutes, self.wall_s / self.budget.wall_minutes) / 60
        )


def best_precision(task: Task) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32: whichever a trial shows faster."""
    times = {}
    for precision in (torch.float32, torch.bfloat16):
        trial = copy.deepcopy(task.net).to(memory_format=torch.channels_last)
        pictures = torch.rand(4, 3, 192, 320).contiguous(memory_format=torch.channels_last)
        for _ in range(3):
            started = time.process_time()
            with torch.autocast("cpu", precision, enabled=precision is torch.bfloat16):
                outputs = task.predict(trial, pictures)
            sum((output.float().mean() for output in outputs), torch.zeros(())).backward()
            times[precision] = time.process_time() - started
    return min(times, key=lambda precision: times[precision])


class Fit:
    """One training: net, running average, optimiser, and where it stands."""

    def __init__(self, task: Task, folder: Path, budget: Budget) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.task, self.folder, self.clock = task, folder, _Clock(budget)
        self.console = Console()
        self.iteration = 0
        task.net.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(task.net)
        matrices = [p for p in task.net.parameters() if p.ndim > 1]
        vectors = [p for p in task.net.parameters() if p.ndim <= 1]
        groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=_PEAK_RATE, betas=(0.9, 0.99), fused=True)

    @property
    def checkpoint(self) -> Path:
        """Where the state lies."""
        return self.folder / f"{self.task.name}.pt"

    def run(self) -> None:
        """Go on until the budget is spent."""
        self._resume()
        precision = best_precision(self.task)
        self.console.print(f"{self.task.name}: {precision}, from iteration {self.iteration}")
        predict = _compiled(self.task)
        saved, scored, losses = self.clock.core_s, self.clock.core_s, []
        while self.clock.share() < 1:
            core, wall = time.process_time(), time.monotonic()
            losses.append(self._step(predict, precision))
            self.clock.spend(time.process_time() - core, time.monotonic() - wall)
            if self.clock.core_s - saved > _CHECKPOINT_S:
                self._save()
                self._tell(losses[-1]["total"])
                saved = self.clock.core_s
            if self.clock.core_s - scored > _SCORE_S:
                self._report(losses)
                scored, losses = self.clock.core_s, []
        self._save()
        self._report(losses)

    def _step(
        self, predict: Callable[[Tensor], tuple[Tensor, ...]], precision: torch.dtype
    ) -> dict[str, float]:
        rate = _PEAK_RATE * min(1.0, (self.iteration + 1) / _WARM_UP)
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.clock.share()))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        pictures, truth = self.task.sample(self._indices(), np.random.default_rng((5, self.iteration)))
        self.task.net.train()
        with torch.autocast("cpu", precision, enabled=precision is torch.bfloat16):
            outputs = predict(pictures)
        losses = self.task.loss(outputs, truth)
        self.optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()
        nn.utils.clip_grad_norm_(self.task.net.parameters(), 10.0)
        self.optimiser.step()
        self.iteration += 1
        self._follow()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _indices(self) -> list[int]:
        """The scenes of this iteration: every epoch has its own order, the same after a restart."""
        steps = self.task.samples // BATCH
        epoch, step = divmod(self.iteration, steps)
        order = np.random.default_rng((6, epoch)).permutation(self.task.samples)
        return [int(index) for index in order[step * BATCH : (step + 1) * BATCH]]

    def _follow(self) -> None:
        keep = min(_AVERAGE, (1 + self.iteration) / (10 + self.iteration))
        torch._foreach_lerp_(_numbers(self.average), _numbers(self.task.net), 1 - keep)

    def _tell(self, loss: float) -> None:
        done = self.clock.share()
        left_min = self.clock.wall_s / 60 * (1 - done) / max(done, 1e-6)
        speed = self.iteration * BATCH / self.clock.core_s
        self.console.print(
            f"{self.task.name} {done:.0%}, loss {loss:.3f}, "
            f"{speed:.0f} pictures per processor second, {left_min:.0f} min left"
        )

    def _report(self, losses: list[dict[str, float]]) -> None:
        entry: dict[str, float] = {
            "core_minutes": round(self.clock.core_s / 60, 2),
            "wall_minutes": round(self.clock.wall_s / 60, 2),
            "iteration": self.iteration,
        }
        for name in losses[0] if losses else ():
            entry[f"loss_{name}"] = round(float(np.mean([loss[name] for loss in losses])), 5)
        entry |= {name: round(value, 5) for name, value in self.task.score(self.average).items()}
        with (self.folder / f"{self.task.name}.jsonl").open("a") as log:
            log.write(json.dumps(entry) + "\n")
        self.console.print(f"{self.task.name} {self.clock.share():.0%} {entry}")

    def _save(self) -> None:
        state = {
            "net": self.task.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "iteration": self.iteration,
            "core_s": self.clock.core_s,
            "wall_s": self.clock.wall_s,
        }
        unfinished = self.checkpoint.with_suffix(".part")
        torch.save(state, unfinished)
        unfinished.rename(self.checkpoint)

    def _resume(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, weights_only=True)
        self.task.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.iteration = int(state["iteration"])
        self.clock.spend(float(state["core_s"]), float(state["wall_s"]))


def _numbers(net: nn.Module) -> list[Tensor]:
    """Weights and running statistics; counters need no average."""
    values: list[Tensor] = [value for value in net.state_dict().values() if value.dtype.is_floating_point]
    return values


def _compiled(task: Task) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The forward pass, fused by the C++ compiler where there is one: a third faster."""

    def predict(pictures: Tensor) -> tuple[Tensor, ...]:
        return task.predict(task.net, pictures)

    if shutil.which("g++") is None:
        return predict
    fused: Callable[[Tensor], tuple[Tensor, ...]] = torch.compile(predict)
    return fused
