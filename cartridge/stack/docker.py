"""The servers in Docker, where a Docker engine answers.

In: compose/compose.yaml, the home folder, the ports. Out: running containers, watched by the supervisor.
Invariant: containers share the host's network and listen on its loopback address only, so every address, port and
Prometheus target is the same as natively; credentials are in home/compose.env (mode 0600), never in a command line.

    python -m cartridge.stack.docker [--home HOME] COMPOSE-ARGUMENTS…       docker compose, with that environment
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cartridge.errors import CartridgeError, UsageError
from cartridge.stack import prometheus
from cartridge.stack.kafka import answers_metadata
from cartridge.stack.minio import Credentials
from cartridge.stack.ports import LOOPBACK, Ports, variable
from cartridge.stack.progress import Part
from cartridge.stack.server import Server, http_ok
from cartridge.stack.shell import Commands

COMPOSE_FILE = Path(__file__).resolve().parents[2] / "compose" / "compose.yaml"
SERVERS = ("kafka", "minio", "prometheus", "grafana")
PORT_NAMES = ("kafka", "kafka_controller", "minio", "prometheus", "grafana")
_ANSWER_TIMEOUT_S = 10.0


def answers(environment: Mapping[str, str] | None = None) -> bool:
    """Whether there is a Docker engine to use, with the compose plugin.

    CARTRIDGE_SERVERS=native says not to look, =docker raises UsageError when there is none.
    """
    environment = os.environ if environment is None else environment
    wish = environment.get("CARTRIDGE_SERVERS", "")
    if wish not in ("", "native", "docker"):
        raise UsageError(f"CARTRIDGE_SERVERS is {wish!r}: it must be native or docker, or unset to find out")
    # Elsewhere containers have a machine of their own, whose loopback address is not this one's.
    if wish == "native" or (wish == "" and sys.platform != "linux"):
        return False
    reason = _why_not(environment)
    if reason and wish == "docker":
        raise UsageError(f"CARTRIDGE_SERVERS is docker, but {reason}: start Docker, or unset it")
    return not reason


def _why_not(environment: Mapping[str, str]) -> str:
    program = shutil.which("docker", path=environment.get("PATH"))
    if program is None:
        return "there is no docker on the PATH"
    for question, otherwise in (
        (("info", "--format", "{{.ServerVersion}}"), "no Docker engine answers"),
        (("compose", "version"), "docker has no compose plugin"),
    ):
        try:
            done = subprocess.run(
                [program, *question],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=_ANSWER_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return otherwise
        if done.returncode != 0 or not done.stdout.strip():
            return otherwise
    return ""


def start(home: Path, ports: Ports, *, commands: Commands, part: Part) -> None:
    """Creates and starts the server containers, fetching images that are not there yet.

    Raises UsageError when a port is in use, CommandFailed with Docker's own words.
    """
    write_environment(home, ports)
    if not commands.run([*compose(home), "ps", "--quiet", "--status", "running"]).strip():
        ports.require_free(PORT_NAMES)
    commands.run([*compose(home), "--progress", "plain", "up", "--detach", *SERVERS], on_line=part.say)


def stop(home: Path, *, commands: Commands, delete_data: bool = False) -> None:
    """Stops and removes the containers; their volumes stay, unless `delete_data`."""
    if (home / "compose.env").exists():
        commands.run(
            [*compose(home), "--profile", "services", "down", *(("--volumes",) if delete_data else ())]
        )


def compose(home: Path) -> tuple[str, ...]:
    """The `docker compose` command line of a home; two homes do not mix."""
    project = "cartridge-" + hashlib.sha256(str(home).encode()).hexdigest()[:8]
    environment = home / "compose.env"
    return ("docker", "compose", "-p", project, "--env-file", str(environment), "-f", str(COMPOSE_FILE))


def write_environment(home: Path, ports: Ports) -> Path:
    """Writes compose.env, and prometheus.yml beside it; gives the former's path."""
    credentials = Credentials.of(home)
    values = {variable(name): str(port) for name, port in ports.items()} | {
        "CARTRIDGE_HOME": str(home),
        "CARTRIDGE_HOST": LOOPBACK,
        "CARTRIDGE_KAFKA": f"{LOOPBACK}:{ports.kafka}",
        "CARTRIDGE_S3_ENDPOINT": f"{LOOPBACK}:{ports.minio}",
        "CARTRIDGE_S3_ACCESS_KEY": credentials.s3_access_key,
        "CARTRIDGE_S3_SECRET_KEY": credentials.s3_secret_key,
        "CARTRIDGE_ENGINE": f"{LOOPBACK}:{ports.engine}",
    }
    prometheus.prepare(home=home, ports=ports, rules=Path("/etc/prometheus/rules.yml"))
    path, part = home / "compose.env", home / "compose.env.part"
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    return part.replace(path)


def containers(ports: Ports) -> list[Server]:
    """The containers as the supervisor watches them. Docker restarts them, not the supervisor."""
    kafka, minio = f"{LOOPBACK}:{ports.kafka}", f"{LOOPBACK}:{ports.minio}"
    metrics, grafana = f"http://{LOOPBACK}:{ports.prometheus}", f"http://{LOOPBACK}:{ports.grafana}"
    return [
        _container("kafka", kafka, ready=answers_metadata(ports.kafka)),
        _container("minio", minio, ready=lambda: http_ok(ports.minio, "/minio/health/ready")),
        _container("prometheus", metrics, ready=lambda: http_ok(ports.prometheus, "/-/ready"), optional=True),
        _container("grafana", grafana, ready=lambda: http_ok(ports.grafana, "/api/health"), optional=True),
    ]


def _container(name: str, address: str, *, ready: Callable[[], bool], optional: bool = False) -> Server:
    return Server(
        name=name,
        command=(),
        environment={},
        address=address,
        port_names=(name,),
        ready=ready,
        optional=optional,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`docker compose` over compose/compose.yaml, with the home's ports and credentials."""
    parser = argparse.ArgumentParser(prog="python -m cartridge.stack.docker", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("CARTRIDGE_HOME", ".cartridge")))
    options, rest = parser.parse_known_args(arguments)
    home = options.home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        write_environment(home, Ports.load())
        command = [*compose(home), *rest]
        os.execvp(command[0], command)
    except FileNotFoundError:
        _fail("there is no docker on the PATH: install Docker's engine and its compose plugin")
        return 2
    except CartridgeError as error:
        _fail(str(error))
        return error.exit_code


def _fail(reason: str) -> None:
    print(f"error: {reason}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
