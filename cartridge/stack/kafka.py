"""Apache Kafka as one KRaft node on the loopback address.

In: the installed jars and Java, the home folder, the ports. Out: a `Server`.
Invariant: the settings are those of compose/kafka.properties; only addresses and folders are added here.
"""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from cartridge.errors import CartridgeError
from cartridge.stack.installed import Installed
from cartridge.stack.ports import LOOPBACK, Ports, answers
from cartridge.stack.server import Server

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED_SETTINGS = REPOSITORY / "compose" / "kafka.properties"
LOGGING = REPOSITORY / "compose" / "native" / "log4j2.properties"
HEAP = ("-Xms128m", "-Xmx512m")


def kafka(*, installed: Installed, home: Path, ports: Ports) -> Server:
    """The broker; its data is in home/data/kafka, its settings in home/config/kafka.properties."""
    properties = home / "config" / "kafka.properties"
    return Server(
        name="kafka",
        command=(*java_command(installed), "kafka.Kafka", str(properties)),
        environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        address=f"{LOOPBACK}:{ports.kafka}",
        port_names=("kafka", "kafka_controller"),
        ready=answers_metadata(ports.kafka),
        prepare=lambda: prepare(installed=installed, home=home, ports=ports),
    )


def java_command(installed: Installed, *, archive: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """`java` with the class path, the logging settings and, where there is one, the class archive.

    `archive`: options that take the place of reading that archive.
    """
    if archive is None:
        archive = (
            () if installed.class_archive is None else (f"-XX:SharedArchiveFile={installed.class_archive}",)
        )
    return (
        str(installed.java),
        *HEAP,
        # A third less memory than the default collector; its pauses at this heap are a few milliseconds.
        "-XX:+UseSerialGC",
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        *archive,
        f"-Dlog4j2.configurationFile={LOGGING}",
        "-cp",
        os.pathsep.join(str(jar) for jar in installed.kafka_jars),
    )


def prepare(*, installed: Installed, home: Path, ports: Ports) -> None:
    """Writes the settings and formats the storage the first time. Raises CartridgeError with Kafka's own words."""
    data = home / "data" / "kafka"
    properties = home / "config" / "kafka.properties"
    data.mkdir(parents=True, exist_ok=True)
    properties.parent.mkdir(parents=True, exist_ok=True)
    properties.write_text(settings(ports=ports, data=data))
    if (data / "meta.properties").exists():
        return
    command = [
        *java_command(installed),
        *("kafka.tools.StorageTool", "format", "--cluster-id", cluster_id(), "--config", str(properties)),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, start_new_session=True
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it said nothing"]
        said = [line for line in said if "error" in line.lower() or "exception" in line.lower()] or said
        raise CartridgeError(f"kafka's storage in {data} cannot be formatted: {said[-1]}")


def cluster_id() -> str:
    """A new random id: 16 bytes in URL-safe base64, as Kafka's own tool makes it."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass  # it would be taken for an option; one in 64 is
    return made


def settings(*, ports: Ports, data: Path) -> str:
    """The text of kafka.properties: what is shared with Docker, then this node's addresses and folder."""
    broker, controller = f"{LOOPBACK}:{ports.kafka}", f"{LOOPBACK}:{ports.kafka_controller}"
    return SHARED_SETTINGS.read_text() + "\n".join(
        (
            "\n# This node.",
            "node.id=1",
            f"controller.quorum.voters=1@{controller}",
            f"listeners=PLAINTEXT://{broker},CONTROLLER://{controller}",
            f"advertised.listeners=PLAINTEXT://{broker}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            f"log.dirs={_escaped(data)}",
            "",
        )
    )


def answers_metadata(port: int) -> Callable[[], bool]:
    """A probe that is true once the broker lists itself: it is registered, unfenced and serves clients."""
    client: AdminClient | None = None

    def probe() -> bool:
        nonlocal client
        if not answers(port):  # spares librdkafka's back-off, which would find the broker late
            return False
        client = client or AdminClient({"bootstrap.servers": f"{LOOPBACK}:{port}", "log_level": 0})
        try:
            return len(client.list_topics(timeout=0.3).brokers) > 0
        except KafkaException:
            client = None
            return False

    return probe


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\")
