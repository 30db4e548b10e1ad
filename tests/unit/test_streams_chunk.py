"""A chunk's columns: views of its bytes, each of exactly the right length, or a BadRecord that names the column."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_samples import AGENTS, BYTES, FLOATS, NO_MASK, TUPLE, VECTOR, WIDE_MASK, Layout, sample_chunk
from streams.chunk import columns_of
from streams.errors import BadRecord
from streams.records import TransitionChunk

COLUMNS = (
    "episode",
    "step",
    "player",
    "state",
    "obs",
    "action",
    "legal_mask",
    "reward",
    "terminated",
    "truncated",
    "behaviour_log_prob",
    "time_us",
    "successor_state",
    "successor_obs",
    "successor_legal_mask",
    "successor_player",
)
FULL = Layout(log_prob=True)


def with_column(chunk: TransitionChunk, name: str, column: bytes) -> TransitionChunk:
    changed: dict[str, Any] = {name: column}
    return replace(chunk, **changed)


@pytest.mark.parametrize("layout", [FLOATS, NO_MASK, WIDE_MASK, BYTES, TUPLE, VECTOR, AGENTS])
def test_every_column_is_a_view_of_its_bytes(layout: Layout) -> None:
    chunk = sample_chunk(3, layout=layout)
    columns = columns_of(chunk)
    for name in COLUMNS:
        column = getattr(columns, name)
        if name == "behaviour_log_prob" and not layout.log_prob:
            assert column is None
            continue
        assert column.tobytes() == getattr(chunk, name)
        assert not column.size or not column.flags.owndata
    assert columns.state.shape == (8, layout.state_bytes)
    assert columns.obs.shape == (8, layout.obs_bytes)
    assert columns.action.shape == (8, layout.action_bytes)
    assert columns.legal_mask.shape == (8, layout.mask_words)
    assert columns.reward.shape == ((8,) if layout.agents == 1 else (8, layout.agents))
    assert columns.successor_state.shape == (3, layout.state_bytes)
    assert columns.successor_legal_mask.shape == (3, layout.mask_words)


@given(segments=st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_a_segment_ends_where_the_next_row_is_of_another_episode(segments: list[int]) -> None:
    columns = columns_of(sample_chunk(1, segments=segments))
    assert np.flatnonzero(columns.segment_end).tolist() == [end - 1 for end in accumulate(segments)]
    assert len(columns.successor_player) == len(segments)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("change", [-1, 1], ids=["a byte less", "a byte more"])
def test_a_column_of_the_wrong_length_is_refused_by_name(name: str, change: int) -> None:
    chunk = sample_chunk(1, layout=FULL)
    column: bytes = getattr(chunk, name)
    wrong = column[:-1] if change < 0 else column + b"\0"
    with pytest.raises(BadRecord, match=rf"^column {name} has {len(wrong)} bytes"):
        columns_of(with_column(chunk, name, wrong))


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"behaviour_log_prob", "legal_mask"}))
def test_an_empty_column_is_refused_by_name(name: str) -> None:
    with pytest.raises(BadRecord, match=rf"^column {name} has 0 bytes"):
        columns_of(with_column(sample_chunk(1, layout=FULL), name, b""))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_row_too_few_is_refused_by_name(name: str) -> None:
    chunk = sample_chunk(1, layout=FULL)
    column: bytes = getattr(chunk, name)
    rows = 3 if name.startswith("successor") else 8
    short = column[: -len(column) // rows]
    with pytest.raises(BadRecord, match=rf"^column {name} has {len(short)} bytes"):
        columns_of(with_column(chunk, name, short))


def test_masks_without_masks_of_successors_are_refused() -> None:
    with pytest.raises(BadRecord, match=r"^column successor_legal_mask has 24 bytes"):
        columns_of(replace(sample_chunk(1), legal_mask=b""))


@pytest.mark.parametrize("count", [0, -1])
def test_a_chunk_without_rows_is_refused(count: int) -> None:
    with pytest.raises(BadRecord, match=f"count is {count}: a chunk has at least one row"):
        columns_of(replace(sample_chunk(1), count=count))


@pytest.mark.parametrize("count", [7, 9, 2**31 - 1])
def test_a_count_that_is_not_the_columns_is_refused(count: int) -> None:
    with pytest.raises(BadRecord, match=rf"^column episode has 64 bytes: {count} rows need {8 * count}"):
        columns_of(replace(sample_chunk(1), count=count))


@pytest.mark.parametrize("width", [3, 8])
def test_a_discrete_action_is_four_bytes(width: int) -> None:
    # What is not would stop the compactor when it makes a table of it: a message's fault must stay the message's.
    with pytest.raises(BadRecord, match=r"^column action has"):
        columns_of(replace(sample_chunk(1), action=bytes(8 * width)))


@pytest.mark.parametrize("width", [16, 19, 24])
def test_an_observation_has_as_many_floats_as_its_encoding_says(width: int) -> None:
    chunk = replace(sample_chunk(1), obs=bytes(8 * width), successor_obs=bytes(3 * width))
    with pytest.raises(BadRecord, match=r"^column obs has"):
        columns_of(chunk)


@pytest.mark.parametrize("run", ["", "a/b", "../up", "a=b", "with space", "a" * 300])
def test_a_run_that_can_be_no_runs_name_is_refused(run: str) -> None:
    # The name becomes part of the shard's object key, and of SQL's run column from there.
    with pytest.raises(BadRecord, match="run"):
        columns_of(replace(sample_chunk(1), run=run))


@pytest.mark.parametrize("agents", [-1, 0, 3, 256])
def test_rewards_for_another_number_of_agents_are_refused(agents: int) -> None:
    with pytest.raises(BadRecord, match=r"agents|reward"):
        columns_of(sample_chunk(1, layout=AGENTS, agents=agents))
