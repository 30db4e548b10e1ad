"""What is shown of a run: sums over actors and their lives, rates over the last seconds."""

from __future__ import annotations

import pytest

from cartridge.progress import RunView
from chunk_samples import placed, sample_chunk
from streams.records import RunStatus, WeightsPublished


def status(
    component: str = "actor-0",
    *,
    at_s: float = 0,
    incarnation: int = 0,
    state: str = "RUNNING",
    message: str = "",
    version: int = -1,
    **numbers: float,
) -> RunStatus:
    return RunStatus(
        run="r",
        component=component,
        state=state,
        message=message,
        incarnation=incarnation,
        weights_version=version,
        numbers=numbers,
        time_us=int(at_s * 1e6),
    )


def weights(**changes: float) -> WeightsPublished:
    return WeightsPublished(
        run="r",
        version=3,
        checkpoint="c",
        manifest_sha256="",
        gradient_steps=150,
        samples=0,
        inserted_rows=0,
        allowed_rows=0,
        evaluation=changes,
        verdict="",
        final=False,
        published_us=0,
    )


def view_of(*heartbeats: RunStatus) -> RunView:
    view = RunView("r")
    for heartbeat in heartbeats:
        view.take_status(heartbeat)
    return view


def test_totals_are_summed_over_actors() -> None:
    view = view_of(
        status("actor-0", transitions_total=100),
        status("actor-1", transitions_total=30),
        status("learner", transitions_total=1000),
        status("actor-0", transitions_total=150),
    )
    assert view.actors_sum("transitions_total") == 180


def test_a_restarted_actors_earlier_lives_count_too() -> None:
    view = view_of(
        status(transitions_total=100, incarnation=0),
        status(transitions_total=0, incarnation=1),
        status(transitions_total=40, incarnation=1),
    )
    assert view.actors_sum("transitions_total") == 140


def test_the_rate_is_a_difference_over_the_last_seconds() -> None:
    view = view_of(*(status(at_s=100 + second, transitions_total=1000 * second) for second in range(11)))
    assert view.transitions_per_s == pytest.approx(1000)
    view = view_of(
        status(at_s=100, transitions_total=0),
        status(at_s=110, transitions_total=5000),
        status(at_s=112, transitions_total=9000),
    )
    assert view.transitions_per_s == pytest.approx(2000)


def test_the_rate_of_two_actors_is_of_both() -> None:
    beats = []
    for second in range(4):
        beats.append(status("actor-0", at_s=second, transitions_total=1000 * second))
        beats.append(status("actor-1", at_s=second + 0.001, transitions_total=500 * second))
    assert view_of(*beats).transitions_per_s == pytest.approx(1500, rel=0.01)


def test_a_restart_is_no_negative_rate() -> None:
    view = view_of(
        status(at_s=0, transitions_total=1000),
        status(at_s=1, transitions_total=2000),
        status(at_s=2, transitions_total=0, incarnation=1),
        status(at_s=3, transitions_total=500, incarnation=1),
    )
    assert view.transitions_per_s == pytest.approx(1500 / 3)


@pytest.mark.parametrize(
    "beats", [[], [status(transitions_total=5)], [status(), status()]], ids=["none", "one", "same time"]
)
def test_without_two_moments_there_is_no_rate(beats: list[RunStatus]) -> None:
    assert view_of(*beats).transitions_per_s == 0


def test_shards_and_rows_are_counted(tmp_path: object) -> None:
    from pathlib import Path

    from sealed_shards import seal

    view = RunView("r")
    for offset in range(3):
        view.take_shard(seal(Path(str(tmp_path)), [placed(sample_chunk(offset), 0, offset)]))
    assert (view.shards, view.rows) == (3, 24)


def test_a_failure_is_told_with_who_failed_and_why() -> None:
    view = view_of(status("actor-0"), status("learner", state="FAILED", message="algorithm is 'x'"))
    assert view.failure == "learner: algorithm is 'x'"
    view.take_status(status("learner", state="RUNNING"))
    assert view.failure == ""


def test_actors_are_in_order() -> None:
    view = view_of(status("learner"), *(status(f"actor-{index}") for index in (10, 2, 0)))
    assert [beat.component for beat in view.actors] == ["actor-0", "actor-2", "actor-10"]


def test_figures_are_shown_before_anything_is_known() -> None:
    shown = dict(RunView("r").figures())
    assert shown["transitions/s"] == "0"
    assert shown["strength"] == "-"
    assert shown["weights"].startswith("- (actors play -")


def test_figures_are_those_of_the_records() -> None:
    view = view_of(
        status(version=2, transitions_total=12345, episodes_total=1700, weights_lag_seconds=0.012),
        status(
            "learner",
            window_rows=12000,
            gradient_steps_total=150,
            samples_per_insert=3.987,
            loss=0.0123456,
        ),
    )
    view.weights = weights(strength=0.985, lost_as_first=1.0, lost_as_second=7.0)
    shown = dict(view.figures())
    assert shown["transitions"] == "12,345"
    assert shown["episodes"] == "1,700"
    assert shown["rows in the window"] == "12,000"
    assert shown["gradient steps"] == "150"
    assert shown["samples per insert"] == "3.99"
    assert shown["loss"] == "0.01235"
    assert shown["weights"] == "v3 (actors play v2, 12 ms after)"
    assert shown["strength"] == "98.50% of lines not lost (lost as first 1, as second 7)"
