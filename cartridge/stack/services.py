"""Cartridge's own processes in the local stack.

In: where the servers are, the ports. Out: a `Server` for each service: engine, actors, compactor, learner.
Invariant: a service learns everything from its environment; two services never share a metrics port.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from cartridge.settings import Settings
from cartridge.stack.ports import LOOPBACK, Ports
from cartridge.stack.server import Server, http_ok

ACTORS = 2
# The first start compiles numba kernels, on a busy machine of two cores.
_READY_TIMEOUT_S = 180.0


def services(
    *, settings: Settings, ports: Ports, environment: Mapping[str, str] | None = None
) -> list[Server]:
    """The services in the order in which they start; stage by stage they are stopped in reverse."""
    base = service_environment(settings, os.environ if environment is None else environment)
    servers = ("kafka", "minio")
    own = partial(_service, environment=base, ports=ports)
    return [
        own("engine", ("engine",), metrics_name="engine_metrics", needs=(), stage=1),
        own("compactor", ("compactor",), metrics_name="compactor_metrics", needs=servers, stage=2),
        own("learner", ("learner",), metrics_name="learner_metrics", needs=servers, stage=2),
        *(
            own(
                f"actor-{index}",
                ("actor", "--index", str(index)),
                metrics_name=f"actor_{index}_metrics",
                needs=(*servers, "engine"),
                stage=3,
            )
            for index in range(ACTORS)
        ),
    ]


def service_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """What every service is told: where things are, and one thread for each numerical library."""
    inherited = {name: value for name, value in environment.items() if not name.startswith("CARTRIDGE_")}
    # Without compiled modules each start of the learner would take twice as long. (m) 4.5 s of CPU time, 2.9 s with
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {
        **inherited,
        # Several processes on few cores: library threads of each would only fight.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "CARTRIDGE_HOME": str(settings.home),
        "CARTRIDGE_HOST": LOOPBACK,
        "CARTRIDGE_KAFKA": settings.kafka,
        "CARTRIDGE_S3_ENDPOINT": settings.s3_endpoint,
        "CARTRIDGE_S3_ACCESS_KEY": settings.s3_access_key,
        "CARTRIDGE_S3_SECRET_KEY": settings.s3_secret_key,
        "CARTRIDGE_BUCKET": settings.bucket,
        "CARTRIDGE_ENGINE": settings.engine,
        "CARTRIDGE_LOG_LEVEL": settings.log_level,
    }


def _service(
    name: str,
    arguments: tuple[str, ...],
    *,
    environment: Mapping[str, str],
    metrics_name: str,
    ports: Ports,
    needs: tuple[str, ...],
    stage: int,
) -> Server:
    metrics_port: int = getattr(ports, metrics_name)
    serves = name == "engine"
    return Server(
        name=name,
        command=(sys.executable, "-m", "cartridge", *arguments),
        environment={**environment, "CARTRIDGE_METRICS_PORT": str(metrics_port)},
        address=f"{LOOPBACK}:{ports.engine}" if serves else f"http://{LOOPBACK}:{metrics_port}/metrics",
        port_names=("engine", metrics_name) if serves else (metrics_name,),
        ready=lambda: http_ok(metrics_port, "/readyz"),
        cwd=Path(__file__).resolve().parents[2],
        needs=needs,
        stage=stage,
        ready_timeout_s=_READY_TIMEOUT_S,
    )
