"""Kafka's first start on this machine: proves that it works, and keeps its loaded classes for later starts.

In: Java and the jars. Out: a class-data archive of the JVM (static CDS). Invariant: it only saves time: a JVM that
finds it unfit ignores it. (m) on 2 cores it takes the start from 4.0 s to 1.7 s, and 6.2 CPU seconds to 2.8.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack import kafka
from cartridge.stack.installed import Installed
from cartridge.stack.ports import Ports
from cartridge.stack.processes import Child
from cartridge.stack.progress import Part
from cartridge.stack.shell import CommandFailed, Commands

CLASS_ARCHIVE = "kafka.jsa"
_START_TIMEOUT_S = 120.0


def fill_class_archive(folder: Path, commands: Commands, part: Part, *, java: Path, jars: list[Path]) -> None:
    """Starts Kafka once on free ports and writes the classes that it loads to folder/kafka.jsa.

    Raises CartridgeError with Kafka's own words when it does not start.
    """
    plain = Installed(java=java, kafka_jars=tuple(jars), class_archive=None, minio=java, prometheus=None)
    classes = folder / "classes.lst"
    part.say("does it start?")
    _start_once(plain, classes=classes, home=folder / "home", commands=commands)
    part.say("keep its classes")
    dump = (
        "-Xshare:dump",
        f"-XX:SharedClassListFile={classes}",
        f"-XX:SharedArchiveFile={folder / CLASS_ARCHIVE}",
    )
    try:
        commands.run(kafka.java_command(plain, archive=dump))
    except CommandFailed as error:  # a Java without this ability: it starts slowly, that is all
        part.say(f"without class archive: {error}")
        (folder / CLASS_ARCHIVE).unlink(missing_ok=True)


def _start_once(plain: Installed, *, classes: Path, home: Path, commands: Commands) -> None:
    with tempfile.TemporaryDirectory(dir=home.parent) as name:
        home = Path(name)
        ports = Ports.free()
        server = kafka.kafka(installed=plain, home=home, ports=ports)
        server.prepare()
        command = (
            *kafka.java_command(plain, archive=(f"-XX:DumpLoadedClassList={classes}",)),
            *server.command[-2:],
        )
        child = Child("kafka", command, environment={**os.environ}, log=home / "kafka.log")
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            while not server.ready():
                commands.check()
                if child.exit_code() is not None or time.monotonic() > deadline:
                    raise CartridgeError(f"Kafka was installed but does not start: {child.last_line()}")
                time.sleep(0.05)
        finally:
            child.stop(grace_s=server.grace_s)
