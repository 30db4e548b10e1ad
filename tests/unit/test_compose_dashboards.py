"""Dashboards and rules ask for metrics that the code has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import actor.metrics
import engine.metrics
import learner.metrics
import streams.metrics

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
METRIC = re.compile(r"\b(?:actor|compactor|engine|learner|cartridge:)[a-z0-9_:]*")
OWN = (actor.metrics, learner.metrics, streams.metrics)


@pytest.fixture(scope="module")
def metrics() -> set[str]:
    """Every series name that the four kinds of process export."""
    assert all(module.__doc__ for module in OWN)  # importing them is what registers their metrics
    engine.metrics.default()
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {
        family.name + suffix for family in REGISTRY.collect() for suffix in suffixes.get(family.type, ("",))
    }


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DASHBOARDS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("record") or rule["alert"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def dashboard() -> dict[str, Any]:
    loaded = json.loads((DASHBOARDS / "cartridge.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_a_query_names_metrics_that_exist(place: str, expression: str, metrics: set[str]) -> None:
    without_labels = re.sub(r"by \([^)]*\)|\{[^}]*\}", "", expression)
    named = set(METRIC.findall(without_labels)) - {"actor", "engine"}
    assert named or without_labels.startswith("up"), place
    assert named <= metrics | recorded(), place
    assert expression.count("(") == expression.count(")")


def test_panels_do_not_overlap_and_have_different_numbers() -> None:
    panels = dashboard()["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_dashboard_answers_the_design_s_questions() -> None:
    asked = " ".join(expression for _, expression in expressions())
    for metric in (
        "actor_steps_total",
        "compactor_shards_total",
        "compactor_seal_age_seconds",
        "actor_weights_lag_seconds",
        "learner_loss",
        "learner_samples_per_insert",
        "learner_window_rows",
        "learner_strength",
        "compactor_dead_letters_total",
    ):
        assert metric in asked


def test_every_panel_uses_the_provisioned_datasource() -> None:
    for panel in dashboard()["panels"]:
        sources = {panel["datasource"]["uid"], *(target["datasource"]["uid"] for target in panel["targets"])}
        assert sources == {"prometheus"}
