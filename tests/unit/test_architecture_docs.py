"""The tables of docs/ are what the code has: settings, ports, metrics, events, topics, columns, protocol steps."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from cartridge.settings import ENVIRONMENT_PREFIX, Settings
from cartridge.stack.ports import Ports, variable
from chunk_samples import (
    AGENTS,
    BYTES,
    FLOATS,
    NO_MASK,
    TUPLE,
    VECTOR,
    WIDE_MASK,
    Layout,
    placed,
    sample_chunk,
)
from markdown import rows, section
from source_tree import ROOT, product_modules
from streams import topics
from streams.records import RECORDS
from streams.shard_table import table_of

OPERATING = (ROOT / "docs" / "operating.md").read_text()
TOPICS = (ROOT / "docs" / "topics-and-records.md").read_text()
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
SOURCE = {path: (ROOT / path).read_text() for path in product_modules()}
METRIC = re.compile(r"\b(Counter|Gauge|Histogram)\(\s*\"([a-z_]+)\"")
EVENT = re.compile(r"(?:_log|log)\.(?:debug|info|warning|error)\(\s*f?\"([a-z_]+)")
VARIABLE = re.compile(r"\bCARTRIDGE_[A-Z0-9_]*[A-Z0-9]\b")


def named(cells: list[str]) -> list[str]:
    """The names in a table's first column."""
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_variable_is_in_the_tables() -> None:
    documented = [name for name in named([row[0] for row in rows(OPERATING)]) if VARIABLE.fullmatch(name)]
    of_settings = {ENVIRONMENT_PREFIX + setting.name.upper() for setting in fields(Settings)}
    of_ports = {variable(name) for name, _ in Ports().items()}
    shell = (ROOT / "just").read_text()
    read = {name for text in (*SOURCE.values(), shell) for name in VARIABLE.findall(text)}
    assert sorted(documented) == sorted(of_settings | of_ports | read)


def test_the_defaults_are_those_of_the_code() -> None:
    said = {named(row[:1])[0]: row[1].strip("`") for row in rows(section(OPERATING, "Ports"))}
    assert said == {variable(name): str(port) for name, port in Ports().items()}
    said = {named(row[:1])[0]: row[1].strip("`") for row in rows(section(OPERATING, "Settings"))}
    defaults = {
        ENVIRONMENT_PREFIX + setting.name.upper(): str(setting.default) or "–" for setting in fields(Settings)
    }
    assert {name: said[name] for name in defaults} == defaults


def test_every_metric_is_in_the_tables() -> None:
    there = {
        f"{name.removesuffix('_total')}_total" if kind == "Counter" else name
        for path, text in SOURCE.items()
        for kind, name in METRIC.findall(text)
        if path.name == "metrics.py"
    }
    documented = named([row[0] for row in rows(section(OPERATING, "Metrics"))])
    assert sorted(documented) == sorted(there)
    mentioned = re.findall(r"`((?:engine|actor|compactor|learner)_[a-z_]+)`", OPERATING + ARCHITECTURE)
    assert set(mentioned) - there == set()


def test_metrics_are_in_the_metrics_files_only() -> None:
    assert {path.name for path, text in SOURCE.items() if METRIC.search(text)} == {"metrics.py"}


def test_the_events_are_logged() -> None:
    logged = {event for text in SOURCE.values() for event in EVENT.findall(text)}
    states = {f"process_{state}" for state in ("backoff", "failed", "ready", "unready", "starting")}
    documented = named([row[0] for row in rows(section(OPERATING, "Logs"))])
    assert documented
    assert set(documented) - logged - states == set()


def test_the_topics_are_those_that_are_made() -> None:
    said = {row[0]: row for row in rows(section(TOPICS, "Topics"))}
    assert sorted(said) == sorted(topic.name for topic in topics.ALL)
    for topic in topics.ALL:
        row = said[topic.name]
        assert (int(row[1]), row[4]) == (topic.partitions, topic.settings["cleanup.policy"])
        assert row[3] in RECORDS or row[3] in ("–", "Avro schema, JSON text")


def test_the_topics_of_the_picture_are_those_that_are_made() -> None:
    known = {topic.name for topic in topics.ALL}
    for text in (ARCHITECTURE, (ROOT / "README.md").read_text(), OPERATING):
        found = set(re.findall(r"\bcartridge\.(?:[a-z]+-[a-z]+|transitions|episodes|shards|weights)\b", text))
        assert found - known == set()


@pytest.mark.parametrize("layout", [FLOATS, NO_MASK, WIDE_MASK, BYTES])
def test_the_columns_are_those_of_a_shard(layout: Layout) -> None:
    described = section(TOPICS, "A shard")
    columns = {row[0]: row[2] for row in rows(described) if row[2] in ("yes", "no")}
    table = table_of([placed(sample_chunk(1, layout=layout), 0, 0)])
    optional = {"successor_obs_bytes": "yes", "successor_legal_mask_words": "yes"}  # in another row's text
    for field in table.schema:
        assert field.name in columns or f"`{field.name}`" in described
        assert (columns | optional)[field.name] == ("yes" if field.nullable else "no"), field.name
    assert {"log_partition", "log_offset", "log_row"} <= set(columns)


def test_no_column_is_described_that_no_shard_has() -> None:
    layouts = [FLOATS, NO_MASK, WIDE_MASK, BYTES, TUPLE, VECTOR, AGENTS]
    there = {
        name
        for layout in layouts
        for name in table_of([placed(sample_chunk(1, layout=layout), 0, 0)]).schema.names
    }
    described = {row[0] for row in rows(section(TOPICS, "A shard")) if row[2] in ("yes", "no")}
    assert described - there == set()


def test_the_protocol_has_the_steps_of_the_code() -> None:
    numbered = re.compile(r"^([1-9])\. (.+[;.])$", re.MULTILINE)
    written = numbered.findall(section(ARCHITECTURE, "Exactly once"))
    assert written == numbered.findall((ROOT / "streams" / "compactor.py").read_text())
    assert [number for number, _ in written] == list("123456")
