"""A game's spec as the message `Capabilities`, and back.

Enters: one of the two. Leaves: the other. Invariant: what comes back from a spec's message equals the spec.
"""

from __future__ import annotations

import grpc

from engine.errors import EngineRefused
from engine.stubs import engine_pb2 as pb
from games.errors import BadEncoding, BadSpec
from games.spec import ActionSpace, AgentSpec, Box, Discrete, Encoding, GameSpec, MultiDiscrete


def to_message(spec: GameSpec) -> pb.Capabilities:
    """The message that says all of a spec."""
    message = pb.Capabilities(
        id=pb.EngineId(env_id=spec.env_id, build_id=spec.build_id),
        enc=pb.Encoding(
            state=spec.encoding.state,
            action=spec.encoding.action,
            obs=spec.encoding.obs,
            schema_version=spec.encoding.schema_version,
        ),
        max_horizon=spec.max_horizon,
        preferred_batch=spec.preferred_batch,
        state_bytes=spec.state_bytes,
        action_bytes=spec.action_bytes,
        obs_shape=spec.obs_shape,
        mask_words=spec.mask_words,
        players=spec.players,
        zero_sum=spec.zero_sum,
        perfect_information=spec.perfect_information,
        stochastic=spec.stochastic,
        hint=spec.hint,
        decodes=spec.decodes,
        agents=[
            pb.AgentSpec(
                name=agent.name, loadout=agent.loadout, actions=agent.actions, obs_shape=agent.obs_shape
            )
            for agent in spec.agents
        ],
        reward_width=spec.reward_width,
    )
    if spec.grid is not None:
        message.grid.height, message.grid.width = spec.grid
    match spec.action_space:
        case Discrete(n=n):
            message.discrete_n = n
        case MultiDiscrete(nvec=nvec):
            message.multi.nvec.extend(nvec)
        case Box(low=low, high=high, shape=shape):
            message.continuous.CopyFrom(pb.BoxSpec(low=low, high=high, shape=shape))
    return message


def from_message(message: pb.Capabilities) -> GameSpec:
    """The spec that an engine tells of.

    Raises:
        EngineRefused: the message contradicts itself: the engine is of another version.
    """
    try:
        spec = GameSpec(
            env_id=message.id.env_id,
            build_id=message.id.build_id,
            encoding=Encoding(
                message.enc.state, message.enc.action, message.enc.obs, message.enc.schema_version
            ),
            max_horizon=message.max_horizon,
            action_space=_action_space(message),
            preferred_batch=message.preferred_batch,
            players=message.players,
            state_bytes=message.state_bytes,
            action_bytes=message.action_bytes,
            obs_shape=tuple(message.obs_shape),
            zero_sum=message.zero_sum,
            perfect_information=message.perfect_information,
            stochastic=message.stochastic,
            hint=message.hint,
            decodes=tuple(message.decodes),
            agents=_agents(message),
            grid=(message.grid.height, message.grid.width) if message.HasField("grid") else None,
        )
    except (BadSpec, BadEncoding) as error:
        raise EngineRefused(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"capabilities of {message.id.env_id!r}: {error}; use an engine of this client's version",
        ) from error
    for field in ("mask_words", "reward_width"):
        said, needed = getattr(message, field), getattr(spec, field)
        if said != needed:
            raise EngineRefused(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"capabilities of {spec.env_id!r}: {field} = {said}, its actions need {needed}; use an engine of "
                "this client's version",
            )
    return spec


def _agents(message: pb.Capabilities) -> tuple[AgentSpec, ...]:
    return tuple(
        AgentSpec(
            name=agent.name, loadout=agent.loadout, actions=agent.actions, obs_shape=tuple(agent.obs_shape)
        )
        for agent in message.agents
    )


def _action_space(message: pb.Capabilities) -> ActionSpace:
    match message.WhichOneof("action_space"):
        case "multi":
            return MultiDiscrete(tuple(message.multi.nvec))
        case "continuous":
            box = message.continuous
            return Box(tuple(box.low), tuple(box.high), tuple(box.shape))
        case _:
            return Discrete(message.discrete_n)
