"""Prometheus, where one is on the PATH: scrapes every process of the stack.

In: dashboards/prometheus.yml, the ports. Out: home/config/prometheus.yml and a `Server`.
Invariant: the same template serves natively and in Docker (which shares the host's loopback addresses).
"""

from __future__ import annotations

from pathlib import Path
from string import Template

from cartridge.stack.ports import LOOPBACK, Ports
from cartridge.stack.server import Server, http_ok

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
TEMPLATE = DASHBOARDS / "prometheus.yml"
RULES = DASHBOARDS / "rules.yml"


def prometheus(*, program: Path, home: Path, ports: Ports) -> Server:
    """The metrics server; its data is in home/data/prometheus, kept for 15 days or 1 GB."""
    config, data = home / "config" / "prometheus.yml", home / "data" / "prometheus"
    return Server(
        name="prometheus",
        command=(
            str(program),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.size=1GB",
            f"--web.listen-address={LOOPBACK}:{ports.prometheus}",
            "--log.level=warn",
        ),
        environment={"PATH": "/usr/bin:/bin", "GOMAXPROCS": "1"},
        address=f"http://{LOOPBACK}:{ports.prometheus}",
        port_names=("prometheus",),
        ready=lambda: http_ok(ports.prometheus, "/-/ready"),
        prepare=lambda: prepare(home=home, ports=ports, rules=RULES),
        optional=True,
    )


def prepare(*, home: Path, ports: Ports, rules: Path) -> None:
    """Writes the configuration."""
    path = home / "config" / "prometheus.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    (home / "data" / "prometheus").mkdir(parents=True, exist_ok=True)
    path.write_text(configuration(ports=ports, rules=rules))


def configuration(*, ports: Ports, rules: Path) -> str:
    """dashboards/prometheus.yml with the ports and the path of the rules filled in."""
    names = {name: str(port) for name, port in ports.items()}
    return Template(TEMPLATE.read_text()).substitute(names, rules=str(rules))
