"""Every codec goes both ways: action bytes, action text, observations by name, states of older encodings, sight.

Enters: a trial and its probes. Leaves: how much went round, or a finding.
Invariant: what a trainer reads by an encoding's name alone is what the game wrote.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.checks.trial import Trial
from games.encodings import decode_actions, decode_obs, encode_actions
from games.errors import (
    BadActionText,
    BadBatch,
    BadEncoding,
    BadState,
    GameError,
    IllegalAction,
    NotOffered,
)
from games.spec import Box, Discrete, MultiDiscrete

_TEXTS = 300  # actions that go through their text
_OLDER = 64  # states that are tried as ones of an older encoding
_CELLS = 256  # cells of a grid from which is looked
_NO_MOVES = (
    "",
    " ",
    "\n",
    "?",
    "-1",
    "99999999999999999999",
    "1e400",
    "nan",
    "inf",
    "ü",
    "²",
    "\x00",
    "move " * 50,
)


def check_actions_text(trial: Trial) -> tuple[int, str]:
    """Actions survive their bytes and their text; what is no move is refused in words."""
    game, spec, tried = trial.game, trial.spec, 0
    for row in _some_actions(trial):
        name, action = spec.encoding.action, row.tobytes()
        if encode_actions(name, decode_actions(name, row[None])).tobytes() != action:
            trial.fail(f"action {action.hex()} does not survive {name}")
        text = game.action_text(action)
        if not text.strip() or "\n" in text:
            trial.fail(f"action {action.hex()} has no text of one line: {text!r}")
        if spec.agents and len(text.split()) != len(spec.agents):
            trial.fail(f"action text {text!r} has not one word for each of {len(spec.agents)} agents")
        if game.parse_action(text) != action:
            trial.fail(f"action {action.hex()} does not survive its own text {text!r}")
        if game.parse_action(f"  {text}\n") != action:
            trial.fail(f"action text {text!r} is not understood with space around it")
        tried += 1
    for text in _NO_MOVES:
        try:
            parsed = game.parse_action(text)
        except BadActionText as error:
            if "\n" in str(error):
                trial.fail(f"move {text!r} is refused in several lines: {str(error)!r}")
        else:
            if len(parsed) != spec.action_bytes:
                trial.fail(
                    f"move {text!r} is understood as {len(parsed)} bytes; an action has {spec.action_bytes}"
                )
    _check_no_text(trial)
    return tried, ""


def check_observations(trial: Trial) -> tuple[int, str]:
    """Observations are what their encoding's name says, and states survive being observed and shown."""
    game, spec, seen = trial.game, trial.spec, 0
    for played in trial.probes:
        for position in (played.before, played.outcome.positions):
            wire = position.obs.view(np.uint8).reshape(len(position), -1)
            decoded = decode_obs(spec.encoding.obs, wire)
            if decoded.shape != (len(position), spec.obs_size) or decoded.tobytes() != position.obs.tobytes():
                trial.fail(f"observations do not survive {spec.encoding.obs}")
            if game.observe(position.states).states.tobytes() != position.states.tobytes():
                trial.fail("states do not survive being observed")
            for state in position.states[:2]:
                text = game.render_text(state.tobytes())
                if not text.strip() or text != text.rstrip("\n"):
                    trial.fail(
                        f"state {state.tobytes().hex()} renders to nothing, or ends with an empty line"
                    )
            seen += len(position)
    return seen, ""


def check_older_states(trial: Trial) -> tuple[int, str]:
    """Each encoding of `spec.decodes` is understood, different rows of it as different states; no other is."""
    game, spec = trial.game, trial.spec
    states = trial.probes[0].before.states
    if game.upgrade_states(spec.encoding.state, states).tobytes() != states.tobytes():
        trial.fail(f"states of {spec.encoding.state} are changed by an upgrade to it")
    unknown = "state:of_nobody:v999"
    if verdict := trial.refuses(lambda: game.upgrade_states(unknown, states), BadEncoding):
        trial.fail(f"an upgrade of {unknown!r} {verdict}")
    for name, _ in trial.older:
        if name not in spec.decodes:
            trial.fail(f"its author gives states of {name!r}, which spec.decodes does not name")
    tried = sum(_check_decoder(trial, name) for name in spec.decodes)
    return tried, "" if spec.decodes else "names none"


def check_sight(trial: Trial) -> tuple[int, str]:
    """Cell a sees cell b exactly if b sees a; a game without a grid says so."""
    game, spec = trial.game, trial.spec
    states = trial.probes[0].before.states[:1].copy()
    if spec.grid is None:
        if verdict := trial.refuses(lambda: game.visible(states, np.zeros(1, np.uint32)), NotOffered):
            trial.fail(f"has no grid, and a question what a cell sees {verdict}")
        return 0, "has no grid"
    cells = spec.grid[0] * spec.grid[1]
    beyond = np.full(1, cells, np.uint32)
    if verdict := trial.refuses(lambda: game.visible(states, beyond), BadBatch):
        trial.fail(f"cell {cells} of 0 to {cells - 1} {verdict}")
    looked = 0
    for played in trial.probes[:: max(1, len(trial.probes) // 4)]:
        for state in (played.before.states[:1], played.outcome.positions.states[-1:]):
            looked += _check_symmetry(trial, state, cells)
    return looked, ""


def _some_actions(trial: Trial) -> npt.NDArray[np.uint8]:
    """Actions u8[M, A]: all of a small space, and those that were played."""
    spec = trial.spec
    played = np.concatenate([probe.actions for probe in trial.probes])[:_TEXTS]
    match spec.action_space:
        case Discrete(n):
            every = encode_actions(spec.encoding.action, np.arange(min(n, 4 * _TEXTS)))
        case MultiDiscrete(nvec):
            corners = [np.zeros(len(nvec), np.int64), np.array(nvec) - 1]
            every = encode_actions(spec.encoding.action, np.stack(corners))
        case Box(low, high):
            bounds = np.array([low, high], np.float32)
            every = encode_actions(spec.encoding.action, bounds[np.isfinite(bounds).all(axis=1)])
    return np.unique(np.concatenate([every, played]), axis=0)


def _check_no_text(trial: Trial) -> None:
    """Bytes outside the action space have no text."""
    spec = trial.spec
    for action in (b"\xff" * spec.action_bytes, bytes(spec.action_bytes + 1)):
        try:
            text = trial.game.action_text(action)
        except (IllegalAction, BadBatch):
            continue
        except Exception as crash:
            said = f"{type(crash).__name__} ({crash}); IllegalAction or BadBatch is due"
            raise trial.finding(f"text of action {action.hex()} raises {said}") from crash
        trial.fail(f"action {action.hex()} is outside the action space, and has the text {text!r}")


def _check_decoder(trial: Trial, name: str) -> int:
    """The rows that the author gives are taken; without them some beginning of a state that was played is."""
    given = [np.frombuffer(row, np.uint8)[None] for encoding, row in trial.older if encoding == name]
    for row in given:
        if isinstance(refusal := _upgraded(trial, name, row), GameError):
            trial.fail(
                f"state 0x{row.tobytes().hex()} of {name!r}, which its author gives, is refused: {refusal}"
            )
    rows = given or _beginnings(trial, name)
    taken = {
        row.tobytes(): upgraded
        for row in rows
        if not isinstance(upgraded := _upgraded(trial, name, row), GameError)
    }
    if not taken:
        trial.fail(
            f"says that it decodes {name!r}, and takes none of {len(rows)} rows; give one that it must take (older)"
        )
    if len(taken) > 1 and len(set(taken.values())) == 1:
        trial.fail(f"makes one state of {len(taken)} different ones of {name!r}")
    return len(rows)


def _beginnings(trial: Trial, name: str) -> list[npt.NDArray[np.uint8]]:
    """Played states u8[1, K], cut or filled up with zeros, of every size K that the older encoding may have."""
    most = 4 * trial.spec.state_bytes + 64
    sizes = [
        size
        for size in range(1, most + 1)
        if not isinstance(_upgraded(trial, name, np.zeros((1, size), np.uint8)), BadBatch)
    ]
    if not sizes:
        trial.fail(f"says that it decodes {name!r}, and refuses rows of every size")
    played = np.unique(np.concatenate([probe.before.states for probe in trial.probes]), axis=0)[:_OLDER]
    filled = np.pad(played, ((0, 0), (0, most - trial.spec.state_bytes)))
    return [row[None, :size].copy() for size in sizes for row in filled]


def _upgraded(trial: Trial, name: str, row: npt.NDArray[np.uint8]) -> bytes | GameError:
    """What one row of an older encoding becomes, or why it is refused."""
    try:
        states = trial.game.upgrade_states(name, row)
    except (BadBatch, BadState) as refusal:
        return refusal
    except Exception as crash:
        said = f"{type(crash).__name__} ({crash})"
        raise trial.finding(f"an upgrade of {name!r} raises {said}") from crash
    if states.shape != (1, trial.spec.state_bytes):
        trial.fail(f"an upgrade of {name!r} gives rows of {states.shape[1]} bytes")
    return states.tobytes()


def _check_symmetry(trial: Trial, state: npt.NDArray[np.uint8], cells: int) -> int:
    looked: npt.NDArray[np.intp] = np.arange(cells)
    if cells > _CELLS:
        looked = np.sort(trial.generator(6).choice(cells, _CELLS, replace=False))
    states = np.repeat(state, len(looked), axis=0)
    words = trial.game.visible(states, looked.astype(np.uint32))
    if words.shape != (len(looked), -(-cells // 64)) or words.dtype != np.uint64:
        trial.fail(f"what cells see is {words.dtype}{list(words.shape)}")
    bits = np.unpackbits(np.ascontiguousarray(words, "<u8").view(np.uint8), axis=1, bitorder="little")
    if bits[:, cells:].any():
        trial.fail("a cell sees cells outside the grid")
    seen = bits[:, looked]
    uneven = np.argwhere(seen != seen.T)
    if len(uneven):
        a, b = looked[uneven[0]].tolist()
        trial.fail(
            f"of cells {a} and {b} one sees the other and is not seen by it (state {state.tobytes().hex()})"
        )
    if words.tobytes() != trial.game.visible(states, looked.astype(np.uint32)).tobytes():
        trial.fail("a cell sees other cells when it is asked again")
    return len(looked)
