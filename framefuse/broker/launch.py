"""From a data directory to a running JVM: write the settings, format the log once, detach the process.

Does not wait for the broker and does not choose ports.
"""

import base64
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from framefuse.broker.home import MAIN_CLASS, BrokerHome
from framefuse.broker.properties import JVM_FLAGS, log4j_configuration, server_properties
from framefuse.errors import BrokerUnavailable


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of the broker in `home`, by `java`, from the jars in `classpath`."""

    home: BrokerHome
    java: Path
    classpath: Sequence[Path]

    def prepare(
        self, port: int, controller_port: int, *, extra: Mapping[str, str], cluster_id: str | None
    ) -> None:
        """Write what Kafka reads at its start, and format its log if this is the first one.

        Raises:
            BrokerUnavailable: Kafka refuses the settings or the folder; carries what it said.
        """
        properties = server_properties(
            data_dir=self.home.path, port=port, controller_port=controller_port, extra=extra
        )
        self.home.settings.write_text(properties, "utf-8")
        self.home.log4j.write_text(log4j_configuration(self.home.log_file), "utf-8")
        if self.home.log_file.exists():
            self.home.log_file.replace(f"{self.home.log_file}.1")
        self._format(cluster_id or _new_cluster_id())

    def detach(self) -> int:
        """Start the broker in a session of its own and give its pid; it is no child of this process."""
        # The shell ends at once, so that nobody has to wait for the broker and no zombie is left.
        script = '"$@" </dev/null >"$FRAMEFUSE_BROKER_CONSOLE" 2>&1 & echo $!'
        shell = subprocess.run(
            ["/bin/sh", "-c", script, "sh", *self._java(), MAIN_CLASS, str(self.home.settings)],
            env=self._environment() | {"FRAMEFUSE_BROKER_CONSOLE": str(self.home.console_file)},
            cwd=self.home.path,
            start_new_session=True,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return int(shell.stdout)

    def _format(self, cluster_id: str) -> None:
        if (self.home.path / "log" / "meta.properties").exists():
            return
        tool = ["kafka.tools.StorageTool", "format", "--cluster-id", cluster_id]
        done = subprocess.run(
            [*self._java(), *tool, "--config", str(self.home.settings)],
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BrokerUnavailable(
                f"Kafka could not prepare {self.home.path}: {(done.stderr or done.stdout).strip()[-1500:]}"
            )

    def _java(self) -> list[str]:
        return [str(self.java), *JVM_FLAGS, f"-Dlog4j2.configurationFile={self.home.log4j.as_uri()}"]

    def _environment(self) -> dict[str, str]:
        return os.environ | {"CLASSPATH": os.pathsep.join(map(str, self.classpath))}


def _new_cluster_id() -> str:
    """Kafka's own form of a UUID; one that starts with "-" would read as a flag."""
    while True:
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not identity.startswith("-"):
            return identity
