"""A game as its engine serves it: the contract's face over a client, so that conformance can look through the service.

In: a game's name, an engine's address. Out: a `Game` whose resets, steps, boards, upgrades and sights go over gRPC.
Invariant: a refusal that came over the wire is raised as the error that the game raised there. What no call of the
engine does (observing a state, words of actions, no rows at all) the game does here.
"""

from __future__ import annotations

import functools
import re
from dataclasses import fields
from typing import NoReturn

import grpc
import numpy as np
import numpy.typing as npt

from engine.client import EngineClient
from engine.errors import EngineRefused
from games import registry
from games.batch import Outcomes, Positions
from games.contract import Game, GameSpec
from games.errors import BadBatch, BadEncoding, BadHint, BadState, IllegalAction, NotOffered

U8 = npt.NDArray[np.uint8]

_ROW = re.compile(r"(states|actions)\[(\d+)\] = [^:]*: (.*)")
_ERRORS = {"states": BadState, "actions": IllegalAction}


class ServedGame(Game):
    """One game of one engine."""

    def __init__(self, env_id: str, address: str) -> None:
        self._env_id, self._address = env_id, address
        self._here = registry.get(env_id)

    @property
    def spec(self) -> GameSpec:
        return client_of(self._address).capabilities(self._env_id)

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if not len(seeds):
            self._here.reset(seeds, hint, out=out)
            return
        try:
            copy(client_of(self._address).reset_batch(self._env_id, seeds, hint), out)
        except EngineRefused as refused:
            raise BadHint(str(refused)) from refused

    def _step(self, states: U8, actions: U8, out: Outcomes) -> None:
        if not len(states):
            self._here.step(states, actions, out=out)
            return
        try:
            reply = client_of(self._address).step_batch(self._env_id, states, actions)
        except EngineRefused as refused:
            raise_as_there(refused)
        copy(reply.positions, out.positions)
        for name in ("rewards", "terminated", "truncated", "info"):
            getattr(out, name)[...] = getattr(reply, name)

    def _observe(self, states: U8, out: Positions) -> None:
        self._here.observe(states, out=out)

    def _visible(self, states: U8, cells: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
        try:
            return client_of(self._address).visible(self._env_id, states, cells)
        except EngineRefused as refused:
            raise_as_there(refused)

    def _upgrade_states(self, encoding: str, states: U8) -> U8:
        try:
            return client_of(self._address).upgrade_states(self._env_id, encoding, states)
        except EngineRefused as refused:
            raise_as_there(refused)

    def render_text(self, state: bytes) -> str:
        try:
            return client_of(self._address).render(self._env_id, state)
        except EngineRefused as refused:
            raise_as_there(refused)

    def action_text(self, action: bytes) -> str:
        return self._here.action_text(action)

    def parse_action(self, text: str) -> bytes:
        return self._here.parse_action(text)


@functools.cache
def client_of(address: str) -> EngineClient:
    """One client an engine. Not an attribute: a connection changes with every call, and a game must not."""
    return EngineClient(address)


def copy(source: Positions, out: Positions) -> None:
    for field in fields(Positions):
        getattr(out, field.name)[...] = getattr(source, field.name)


def raise_as_there(refused: EngineRefused) -> NoReturn:
    """The error that the game raised in the engine."""
    if refused.status is grpc.StatusCode.UNIMPLEMENTED:
        raise NotOffered(str(refused)) from refused
    told = _ROW.search(str(refused))
    if told is not None:
        field, row, reason = told.groups()
        raise _ERRORS[field](int(row), b"", reason) from refused
    raise (BadEncoding if "encoding" in str(refused) else BadBatch)(str(refused)) from refused
