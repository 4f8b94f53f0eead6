"""Runs the Faust app in this process until it shall stop; an app that crashed is made anew.

Faust's own worker would take over signals, logging and the process's name; here the app is one service in an
event loop of ours.
"""

import asyncio
import logging
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from framefuse import metrics
from framefuse.errors import Retry
from framefuse.kafka.schema_topic import SchemaTopic
from framefuse.types import StageRun
from processors.statistics.app import StatisticsApp, make_app, names
from processors.statistics.intake import STAGE_NAME
from processors.statistics.stage import StatisticsSettings

log = logging.getLogger("framefuse.statistics")
_LOOK_EVERY_S = 0.1
_STOP_LIMIT_S = 10.0
_RETRY_AFTER_S = 1.0


def work_until_stopped(settings: StatisticsSettings, run: StageRun) -> None:
    """Live, and live again after a crash, until `run.stop` is set.

    Raises:
        Stop: topics are missing, or what Faust needs is.
    """
    for noisy in ("faust", "mode", "processors.statistics.table", "processors.statistics.reading"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # It says twenty times a second that no broker is there; what ends its work it raises.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    up = metrics.UP.labels(STAGE_NAME, run.name)
    while not run.stop.is_set():
        try:
            with TemporaryDirectory(prefix="framefuse-statistics-") as data_dir:
                asyncio.run(_live(settings, run, Path(data_dir)))
        except Retry as error:
            reason = str(error)
        else:
            continue
        finally:
            up.set(0)
            run.ready.clear()
        log.warning("begins anew: %s", reason)
        metrics.REJOINS.labels(STAGE_NAME, "crash").inc()
        run.stop.wait(_RETRY_AFTER_S)


async def _live(settings: StatisticsSettings, run: StageRun, data_dir: Path) -> None:
    """One life of the app.

    Raises:
        Retry: it crashed.
    """
    schemas = SchemaTopic(run.kafka)
    called = names(run.kafka)
    app = make_app(run.kafka, run.name, called, data_dir)
    statistics = StatisticsApp(app, called, settings, schemas)
    moving = asyncio.create_task(statistics.move_on())
    try:
        starting = asyncio.ensure_future(app.start())
        while not run.stop.is_set() and not app.crashed:
            if starting.done():
                starting.result()
                _say_ready(run, statistics)
            if moving.done():
                raise Retry(f"{called.group} could not write: {moving.exception()!r}")
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        began_s = time.monotonic()
        # Not `wait_for`: mode swallows the cancellation, and would be waited for without end.
        done, _ = await asyncio.wait({asyncio.ensure_future(app.stop())}, timeout=_STOP_LIMIT_S)
        moving.cancel()
        if not done:
            _leave_at_once(failed=not run.stop.is_set())
        log.info("stopped in %.1f s", time.monotonic() - began_s)
    if app.crashed and not run.stop.is_set():
        raise Retry(f"Faust: {app.crash_reason!r}")


def _say_ready(run: StageRun, statistics: StatisticsApp) -> None:
    """Keep `run.ready` as it is, and say so when that changes for want of a broker."""
    ready, was_ready = statistics.at_work(), run.ready.is_set()
    if ready and not was_ready:
        run.ready.set()
        log.info("at work")
    elif was_ready and not ready:
        run.ready.clear()
        if not statistics.known_to_group:
            log.warning("no broker answers for the group: is it up? 'framefuse broker status'")


def _leave_at_once(*, failed: bool) -> None:
    """End the process: Faust's threads are no daemons, so nothing gentler ends it.

    Nothing is lost: what the group has not committed is read again, and counted once.
    """
    log.warning("Faust did not stop in %.0f s: the process ends without it", _STOP_LIMIT_S)
    logging.shutdown()
    os._exit(1 if failed else 0)
