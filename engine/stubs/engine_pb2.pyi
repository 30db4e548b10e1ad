from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RenderFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RENDER_FORMAT_UNSPECIFIED: _ClassVar[RenderFormat]
    RENDER_FORMAT_TEXT: _ClassVar[RenderFormat]
    RENDER_FORMAT_SVG: _ClassVar[RenderFormat]
    RENDER_FORMAT_PNG: _ClassVar[RenderFormat]
RENDER_FORMAT_UNSPECIFIED: RenderFormat
RENDER_FORMAT_TEXT: RenderFormat
RENDER_FORMAT_SVG: RenderFormat
RENDER_FORMAT_PNG: RenderFormat

class EngineId(_message.Message):
    __slots__ = ("env_id", "build_id")
    ENV_ID_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    env_id: str
    build_id: str
    def __init__(self, env_id: _Optional[str] = ..., build_id: _Optional[str] = ...) -> None: ...

class Encoding(_message.Message):
    __slots__ = ("state", "action", "obs", "schema_version")
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    state: str
    action: str
    obs: str
    schema_version: int
    def __init__(self, state: _Optional[str] = ..., action: _Optional[str] = ..., obs: _Optional[str] = ..., schema_version: _Optional[int] = ...) -> None: ...

class MultiDiscrete(_message.Message):
    __slots__ = ("nvec",)
    NVEC_FIELD_NUMBER: _ClassVar[int]
    nvec: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, nvec: _Optional[_Iterable[int]] = ...) -> None: ...

class BoxSpec(_message.Message):
    __slots__ = ("low", "high", "shape")
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    low: _containers.RepeatedScalarFieldContainer[float]
    high: _containers.RepeatedScalarFieldContainer[float]
    shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, low: _Optional[_Iterable[float]] = ..., high: _Optional[_Iterable[float]] = ..., shape: _Optional[_Iterable[int]] = ...) -> None: ...

class AgentSpec(_message.Message):
    __slots__ = ("name", "loadout", "actions", "obs_shape")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LOADOUT_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    OBS_SHAPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    loadout: str
    actions: int
    obs_shape: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., loadout: _Optional[str] = ..., actions: _Optional[int] = ..., obs_shape: _Optional[_Iterable[int]] = ...) -> None: ...

class Grid(_message.Message):
    __slots__ = ("height", "width")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class Capabilities(_message.Message):
    __slots__ = ("id", "enc", "max_horizon", "discrete_n", "multi", "continuous", "preferred_batch", "state_bytes", "action_bytes", "obs_shape", "mask_words", "players", "zero_sum", "perfect_information", "stochastic", "hint", "decodes", "agents", "grid", "reward_width")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENC_FIELD_NUMBER: _ClassVar[int]
    MAX_HORIZON_FIELD_NUMBER: _ClassVar[int]
    DISCRETE_N_FIELD_NUMBER: _ClassVar[int]
    MULTI_FIELD_NUMBER: _ClassVar[int]
    CONTINUOUS_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_BATCH_FIELD_NUMBER: _ClassVar[int]
    STATE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ACTION_BYTES_FIELD_NUMBER: _ClassVar[int]
    OBS_SHAPE_FIELD_NUMBER: _ClassVar[int]
    MASK_WORDS_FIELD_NUMBER: _ClassVar[int]
    PLAYERS_FIELD_NUMBER: _ClassVar[int]
    ZERO_SUM_FIELD_NUMBER: _ClassVar[int]
    PERFECT_INFORMATION_FIELD_NUMBER: _ClassVar[int]
    STOCHASTIC_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    DECODES_FIELD_NUMBER: _ClassVar[int]
    AGENTS_FIELD_NUMBER: _ClassVar[int]
    GRID_FIELD_NUMBER: _ClassVar[int]
    REWARD_WIDTH_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    enc: Encoding
    max_horizon: int
    discrete_n: int
    multi: MultiDiscrete
    continuous: BoxSpec
    preferred_batch: int
    state_bytes: int
    action_bytes: int
    obs_shape: _containers.RepeatedScalarFieldContainer[int]
    mask_words: int
    players: int
    zero_sum: bool
    perfect_information: bool
    stochastic: bool
    hint: str
    decodes: _containers.RepeatedScalarFieldContainer[str]
    agents: _containers.RepeatedCompositeFieldContainer[AgentSpec]
    grid: Grid
    reward_width: int
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., enc: _Optional[_Union[Encoding, _Mapping]] = ..., max_horizon: _Optional[int] = ..., discrete_n: _Optional[int] = ..., multi: _Optional[_Union[MultiDiscrete, _Mapping]] = ..., continuous: _Optional[_Union[BoxSpec, _Mapping]] = ..., preferred_batch: _Optional[int] = ..., state_bytes: _Optional[int] = ..., action_bytes: _Optional[int] = ..., obs_shape: _Optional[_Iterable[int]] = ..., mask_words: _Optional[int] = ..., players: _Optional[int] = ..., zero_sum: _Optional[bool] = ..., perfect_information: _Optional[bool] = ..., stochastic: _Optional[bool] = ..., hint: _Optional[str] = ..., decodes: _Optional[_Iterable[str]] = ..., agents: _Optional[_Iterable[_Union[AgentSpec, _Mapping]]] = ..., grid: _Optional[_Union[Grid, _Mapping]] = ..., reward_width: _Optional[int] = ...) -> None: ...

class ResetRequest(_message.Message):
    __slots__ = ("id", "seed", "hint")
    ID_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    seed: int
    hint: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., seed: _Optional[int] = ..., hint: _Optional[bytes] = ...) -> None: ...

class ResetResponse(_message.Message):
    __slots__ = ("state", "obs", "legal_mask", "player")
    STATE_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    LEGAL_MASK_FIELD_NUMBER: _ClassVar[int]
    PLAYER_FIELD_NUMBER: _ClassVar[int]
    state: bytes
    obs: bytes
    legal_mask: bytes
    player: int
    def __init__(self, state: _Optional[bytes] = ..., obs: _Optional[bytes] = ..., legal_mask: _Optional[bytes] = ..., player: _Optional[int] = ...) -> None: ...

class StepRequest(_message.Message):
    __slots__ = ("id", "state", "action")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    state: bytes
    action: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., state: _Optional[bytes] = ..., action: _Optional[bytes] = ...) -> None: ...

class StepResponse(_message.Message):
    __slots__ = ("next_state", "obs", "reward", "done", "info", "legal_mask", "truncated", "player", "rewards")
    NEXT_STATE_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    REWARD_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    LEGAL_MASK_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    PLAYER_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    next_state: bytes
    obs: bytes
    reward: float
    done: bool
    info: int
    legal_mask: bytes
    truncated: bool
    player: int
    rewards: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, next_state: _Optional[bytes] = ..., obs: _Optional[bytes] = ..., reward: _Optional[float] = ..., done: _Optional[bool] = ..., info: _Optional[int] = ..., legal_mask: _Optional[bytes] = ..., truncated: _Optional[bool] = ..., player: _Optional[int] = ..., rewards: _Optional[_Iterable[float]] = ...) -> None: ...

class ListGamesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGamesResponse(_message.Message):
    __slots__ = ("games", "poisoned", "broken")
    GAMES_FIELD_NUMBER: _ClassVar[int]
    POISONED_FIELD_NUMBER: _ClassVar[int]
    BROKEN_FIELD_NUMBER: _ClassVar[int]
    games: _containers.RepeatedCompositeFieldContainer[Capabilities]
    poisoned: _containers.RepeatedCompositeFieldContainer[RefusedGame]
    broken: _containers.RepeatedCompositeFieldContainer[RefusedGame]
    def __init__(self, games: _Optional[_Iterable[_Union[Capabilities, _Mapping]]] = ..., poisoned: _Optional[_Iterable[_Union[RefusedGame, _Mapping]]] = ..., broken: _Optional[_Iterable[_Union[RefusedGame, _Mapping]]] = ...) -> None: ...

class RefusedGame(_message.Message):
    __slots__ = ("env_id", "reason")
    ENV_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    env_id: str
    reason: str
    def __init__(self, env_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ResetBatchRequest(_message.Message):
    __slots__ = ("id", "count", "seeds", "hint", "padding")
    ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    count: int
    seeds: bytes
    hint: bytes
    padding: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., count: _Optional[int] = ..., seeds: _Optional[bytes] = ..., hint: _Optional[bytes] = ..., padding: _Optional[bytes] = ...) -> None: ...

class ResetBatchResponse(_message.Message):
    __slots__ = ("count", "states", "obs", "legal_masks", "players", "padding")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    LEGAL_MASKS_FIELD_NUMBER: _ClassVar[int]
    PLAYERS_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    count: int
    states: bytes
    obs: bytes
    legal_masks: bytes
    players: bytes
    padding: bytes
    def __init__(self, count: _Optional[int] = ..., states: _Optional[bytes] = ..., obs: _Optional[bytes] = ..., legal_masks: _Optional[bytes] = ..., players: _Optional[bytes] = ..., padding: _Optional[bytes] = ...) -> None: ...

class StepBatchRequest(_message.Message):
    __slots__ = ("id", "count", "states", "actions", "reset_seeds", "sequence", "reset_hint", "padding")
    ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    RESET_SEEDS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESET_HINT_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    count: int
    states: bytes
    actions: bytes
    reset_seeds: bytes
    sequence: int
    reset_hint: bytes
    padding: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., count: _Optional[int] = ..., states: _Optional[bytes] = ..., actions: _Optional[bytes] = ..., reset_seeds: _Optional[bytes] = ..., sequence: _Optional[int] = ..., reset_hint: _Optional[bytes] = ..., padding: _Optional[bytes] = ...) -> None: ...

class StepBatchResponse(_message.Message):
    __slots__ = ("sequence", "count", "states", "obs", "rewards", "terminated", "truncated", "legal_masks", "players", "info", "final_players", "final_states", "final_obs", "final_legal_masks", "padding")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    OBS_FIELD_NUMBER: _ClassVar[int]
    REWARDS_FIELD_NUMBER: _ClassVar[int]
    TERMINATED_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    LEGAL_MASKS_FIELD_NUMBER: _ClassVar[int]
    PLAYERS_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    FINAL_PLAYERS_FIELD_NUMBER: _ClassVar[int]
    FINAL_STATES_FIELD_NUMBER: _ClassVar[int]
    FINAL_OBS_FIELD_NUMBER: _ClassVar[int]
    FINAL_LEGAL_MASKS_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    count: int
    states: bytes
    obs: bytes
    rewards: bytes
    terminated: bytes
    truncated: bytes
    legal_masks: bytes
    players: bytes
    info: bytes
    final_players: bytes
    final_states: bytes
    final_obs: bytes
    final_legal_masks: bytes
    padding: bytes
    def __init__(self, sequence: _Optional[int] = ..., count: _Optional[int] = ..., states: _Optional[bytes] = ..., obs: _Optional[bytes] = ..., rewards: _Optional[bytes] = ..., terminated: _Optional[bytes] = ..., truncated: _Optional[bytes] = ..., legal_masks: _Optional[bytes] = ..., players: _Optional[bytes] = ..., info: _Optional[bytes] = ..., final_players: _Optional[bytes] = ..., final_states: _Optional[bytes] = ..., final_obs: _Optional[bytes] = ..., final_legal_masks: _Optional[bytes] = ..., padding: _Optional[bytes] = ...) -> None: ...

class StepStreamRequest(_message.Message):
    __slots__ = ("batches", "padding")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[StepBatchRequest]
    padding: bytes
    def __init__(self, batches: _Optional[_Iterable[_Union[StepBatchRequest, _Mapping]]] = ..., padding: _Optional[bytes] = ...) -> None: ...

class StepStreamResponse(_message.Message):
    __slots__ = ("batches", "padding")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    batches: _containers.RepeatedCompositeFieldContainer[StepBatchResponse]
    padding: bytes
    def __init__(self, batches: _Optional[_Iterable[_Union[StepBatchResponse, _Mapping]]] = ..., padding: _Optional[bytes] = ...) -> None: ...

class RenderRequest(_message.Message):
    __slots__ = ("id", "state", "format", "cell_px", "viewpoint")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CELL_PX_FIELD_NUMBER: _ClassVar[int]
    VIEWPOINT_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    state: bytes
    format: RenderFormat
    cell_px: int
    viewpoint: int
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., state: _Optional[bytes] = ..., format: _Optional[_Union[RenderFormat, str]] = ..., cell_px: _Optional[int] = ..., viewpoint: _Optional[int] = ...) -> None: ...

class RenderResponse(_message.Message):
    __slots__ = ("text", "image")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    text: str
    image: bytes
    def __init__(self, text: _Optional[str] = ..., image: _Optional[bytes] = ...) -> None: ...

class UpgradeStatesRequest(_message.Message):
    __slots__ = ("id", "encoding", "count", "states")
    ID_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    encoding: str
    count: int
    states: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., encoding: _Optional[str] = ..., count: _Optional[int] = ..., states: _Optional[bytes] = ...) -> None: ...

class UpgradeStatesResponse(_message.Message):
    __slots__ = ("count", "states")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    count: int
    states: bytes
    def __init__(self, count: _Optional[int] = ..., states: _Optional[bytes] = ...) -> None: ...

class VisibilityRequest(_message.Message):
    __slots__ = ("id", "count", "states", "cells")
    ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    count: int
    states: bytes
    cells: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., count: _Optional[int] = ..., states: _Optional[bytes] = ..., cells: _Optional[bytes] = ...) -> None: ...

class VisibilityResponse(_message.Message):
    __slots__ = ("count", "visible", "height", "width")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    count: int
    visible: bytes
    height: int
    width: int
    def __init__(self, count: _Optional[int] = ..., visible: _Optional[bytes] = ..., height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class PreflightRequest(_message.Message):
    __slots__ = ("id", "count")
    ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    count: int
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class PreflightResponse(_message.Message):
    __slots__ = ("accepted", "status", "reason", "retry_after_ms", "queue_depth", "queue_capacity", "requests_in_flight", "rows_in_flight", "row_capacity", "streams", "stream_capacity", "sessions", "session_capacity")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DEPTH_FIELD_NUMBER: _ClassVar[int]
    QUEUE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    ROWS_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    ROW_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    STREAM_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    SESSION_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    status: int
    reason: str
    retry_after_ms: int
    queue_depth: int
    queue_capacity: int
    requests_in_flight: int
    rows_in_flight: int
    row_capacity: int
    streams: int
    stream_capacity: int
    sessions: int
    session_capacity: int
    def __init__(self, accepted: _Optional[bool] = ..., status: _Optional[int] = ..., reason: _Optional[str] = ..., retry_after_ms: _Optional[int] = ..., queue_depth: _Optional[int] = ..., queue_capacity: _Optional[int] = ..., requests_in_flight: _Optional[int] = ..., rows_in_flight: _Optional[int] = ..., row_capacity: _Optional[int] = ..., streams: _Optional[int] = ..., stream_capacity: _Optional[int] = ..., sessions: _Optional[int] = ..., session_capacity: _Optional[int] = ...) -> None: ...

class OpenSessionRequest(_message.Message):
    __slots__ = ("id", "count", "seeds", "hint", "states", "idle_timeout_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEEDS_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    count: int
    seeds: bytes
    hint: bytes
    states: bytes
    idle_timeout_ms: int
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., count: _Optional[int] = ..., seeds: _Optional[bytes] = ..., hint: _Optional[bytes] = ..., states: _Optional[bytes] = ..., idle_timeout_ms: _Optional[int] = ...) -> None: ...

class OpenSessionResponse(_message.Message):
    __slots__ = ("session_id", "idle_timeout_ms", "start")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_MS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    idle_timeout_ms: int
    start: ResetBatchResponse
    def __init__(self, session_id: _Optional[str] = ..., idle_timeout_ms: _Optional[int] = ..., start: _Optional[_Union[ResetBatchResponse, _Mapping]] = ...) -> None: ...

class StepSessionRequest(_message.Message):
    __slots__ = ("session_id", "sequence", "actions", "reset_seeds", "reset_hint")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    RESET_SEEDS_FIELD_NUMBER: _ClassVar[int]
    RESET_HINT_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    sequence: int
    actions: bytes
    reset_seeds: bytes
    reset_hint: bytes
    def __init__(self, session_id: _Optional[str] = ..., sequence: _Optional[int] = ..., actions: _Optional[bytes] = ..., reset_seeds: _Optional[bytes] = ..., reset_hint: _Optional[bytes] = ...) -> None: ...

class StepSessionResponse(_message.Message):
    __slots__ = ("outcome", "padding")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    outcome: StepBatchResponse
    padding: bytes
    def __init__(self, outcome: _Optional[_Union[StepBatchResponse, _Mapping]] = ..., padding: _Optional[bytes] = ...) -> None: ...

class CloseSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class CloseSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestoreGameRequest(_message.Message):
    __slots__ = ("env_id",)
    ENV_ID_FIELD_NUMBER: _ClassVar[int]
    env_id: str
    def __init__(self, env_id: _Optional[str] = ...) -> None: ...

class RestoreGameResponse(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...
