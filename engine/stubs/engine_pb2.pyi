from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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

class Capabilities(_message.Message):
    __slots__ = ("id", "enc", "max_horizon", "discrete_n", "multi", "continuous", "preferred_batch", "state_bytes", "action_bytes", "obs_shape", "mask_words", "players", "zero_sum", "perfect_information", "stochastic")
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
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., enc: _Optional[_Union[Encoding, _Mapping]] = ..., max_horizon: _Optional[int] = ..., discrete_n: _Optional[int] = ..., multi: _Optional[_Union[MultiDiscrete, _Mapping]] = ..., continuous: _Optional[_Union[BoxSpec, _Mapping]] = ..., preferred_batch: _Optional[int] = ..., state_bytes: _Optional[int] = ..., action_bytes: _Optional[int] = ..., obs_shape: _Optional[_Iterable[int]] = ..., mask_words: _Optional[int] = ..., players: _Optional[int] = ..., zero_sum: _Optional[bool] = ..., perfect_information: _Optional[bool] = ..., stochastic: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("games",)
    GAMES_FIELD_NUMBER: _ClassVar[int]
    games: _containers.RepeatedCompositeFieldContainer[Capabilities]
    def __init__(self, games: _Optional[_Iterable[_Union[Capabilities, _Mapping]]] = ...) -> None: ...

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
    __slots__ = ("id", "count", "states", "actions", "reset_seeds", "sequence", "padding")
    ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ACTIONS_FIELD_NUMBER: _ClassVar[int]
    RESET_SEEDS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    count: int
    states: bytes
    actions: bytes
    reset_seeds: bytes
    sequence: int
    padding: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., count: _Optional[int] = ..., states: _Optional[bytes] = ..., actions: _Optional[bytes] = ..., reset_seeds: _Optional[bytes] = ..., sequence: _Optional[int] = ..., padding: _Optional[bytes] = ...) -> None: ...

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
    __slots__ = ("id", "state")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    id: EngineId
    state: bytes
    def __init__(self, id: _Optional[_Union[EngineId, _Mapping]] = ..., state: _Optional[bytes] = ...) -> None: ...

class RenderResponse(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...
