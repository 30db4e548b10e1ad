"""A compactor as a process of its own, that can be made to die at a step of its protocol.

In: `python compactor_child.py PREFIX MEMBER [STEP NUMBER]`, and CARTRIDGE_* of a stage. Out: what a compactor does.
Invariant: without STEP it is the service as it is released; with STEP it is killed -9 at the NUMBER-th time of it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from cartridge import logs
from cartridge.objects import ObjectStore
from cartridge.settings import Settings
from renamed_topics import rename
from streams import kafka, service
from streams.compactor import Compactor
from streams.shard_buffer import CutPolicy

_consumer = kafka.consumer


def _impatient_consumer(bootstrap: str, group: str, **settings: Any) -> Any:
    """The group notices a killed member after a second instead of six: the protocol is the same."""
    if "session_timeout_ms" in settings:
        settings |= {"session_timeout_ms": 1500, "heartbeat_interval_ms": 300}
    return _consumer(bootstrap, group, **settings)


def main(prefix: str, member: str, *crash: str) -> int:
    """Runs until SIGTERM, or until it is killed."""
    logs.configure(member)
    rename(prefix)
    kafka.consumer = _impatient_consumer
    settings = Settings.load()
    if not crash:
        return service.run(settings, member=member)
    step, number = crash[0], int(crash[1])
    seen = 0

    def at_step(name: str) -> None:
        nonlocal seen
        seen += name == step
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    compactor = Compactor(
        bootstrap=settings.kafka,
        store=ObjectStore.connect(settings),
        member=member,
        policy=CutPolicy(rows=300, age_s=0.2),
        at_step=at_step,
    )
    compactor.start()
    while True:
        compactor.run_once()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
