"""Workers as an orchestrator keeps them: each a process with a name, started again when it dies."""

import random
import signal
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.faults.armed import OF_STAGE
from tests.parts.pipeline import Pipeline

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Post:
    """A place for one worker; its instance is `stage-number`."""

    stage: str
    number: int

    def __str__(self) -> str:
        return f"{self.stage}-{self.number}"


class Crew:
    """The workers of one case."""

    def __init__(self, pipeline: Pipeline, workers: Mapping[str, int], *, seed: int = 7) -> None:
        self._pipeline, self._rng = pipeline, random.Random(seed)
        self.posts = [Post(stage, number) for stage, count in workers.items() for number in range(count)]
        self.running: dict[Post, Process] = {}
        self.deaths: Counter[str] = Counter()
        self._points: dict[str, deque[str]] = {}
        self._said: dict[Post, int] = {}

    def start_all(self) -> None:
        """Everybody, unarmed, until all are at work."""
        for post in self.posts:
            self.start(post)
        for post in self.posts:
            self.wait_for(post)

    def wait_for(self, post: Post, patience_s: float = 60.0) -> None:
        """Until the worker at this post is at work."""
        give_up_s = time.monotonic() + patience_s
        while "metrics on http" not in self.log_of(post):
            assert self.running[post].poll() is None, self.log_of(post)
            assert time.monotonic() < give_up_s, f"{post} did not begin within {patience_s} s"
            time.sleep(0.1)

    def log_of(self, post: Post) -> str:
        """What the worker at this post said in its present life."""
        text = (self._pipeline.folder / f"{post}.log").read_bytes()[self._said[post] :]
        return text.decode(errors="replace")

    def arm(self, kills: int) -> None:
        """From now on, each start of a worker is armed with its stage's next point, `kills` times a stage."""
        for stage in {post.stage for post in self.posts}:
            points = OF_STAGE[stage]
            self._points[stage] = deque(points[number % len(points)] for number in range(kills))

    @property
    def armed(self) -> bool:
        """Whether a death is still to come: a point not yet given out."""
        return any(self._points.values())

    def start(self, post: Post, point: str | None = None, *, nth: int = 1, sign: str = "SIGKILL") -> Process:
        """One worker, at its post; with a `point` it signals itself at its nth passing."""
        arguments, module = ["run", post.stage], "framefuse"
        if point is not None:
            arguments, module = [point, str(nth), sign, *arguments], "tests.faults.armed"
        log = self._pipeline.folder / f"{post}.log"
        self._said[post] = log.stat().st_size if log.exists() else 0
        process = self._pipeline.command(
            *arguments, log=str(post), module=module, FRAMEFUSE_INSTANCE=str(post)
        )
        self.running[post] = process
        return process

    def keep_up(self) -> None:
        """Start again who has died, armed while there are points left."""
        for post in self.posts:
            process = self.running.get(post)
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                assert process.returncode == -signal.SIGKILL, self._pipeline.logs()[str(post)][-3000:]
                self.deaths[post.stage] += 1
            points = self._points.get(post.stage)
            if points:
                self.start(post, points.popleft(), nth=self._rng.randint(1, 25))
            else:
                self.start(post)

    def keep_up_until(self, done: Callable[[], bool], patience_s: float) -> None:
        """Keep everybody at work until something is true."""
        give_up_s = time.monotonic() + patience_s
        while not done():
            assert time.monotonic() < give_up_s, f"not within {patience_s} s; deaths {dict(self.deaths)}"
            self.keep_up()
            time.sleep(0.1)

    def kill(self, post: Post) -> None:
        """SIGKILL, now."""
        self.running[post].send_signal(signal.SIGKILL)
        self.running[post].wait()
