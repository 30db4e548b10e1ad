"""What a game must refuse: illegal actions, states that cannot be, hints that make no sense.

Enters: a trial and its probes. Leaves: how much was tried, or a finding.
Invariant: whatever the bytes, a game answers, or raises the one error that is due and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from games.batch import Positions
from games.checks.play import check_outcome, check_position, goes_on
from games.checks.trial import Nonconformity, Played, Trial, ended, play, take
from games.encodings import decode_actions, encode_actions
from games.errors import BadHint, BadState, GameError, IllegalAction
from games.moves import legal, random_actions
from games.spec import Box, Discrete, MultiDiscrete

_ROWS = 4  # rows a probe whose every action is tried
_ACTIONS = 256  # actions a row that are tried, of a game that has more of them
_MUTATIONS = 512
_RANDOM = 256
_HINTED_STEPS = 40
_HINT_SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 24, 32, 64, 255, 4096)

Row = npt.NDArray[np.uint8]


def check_masks(trial: Trial) -> tuple[int, str]:
    """Exactly the actions of the mask are taken."""
    if not trial.groups:
        return 0, "no mask: every action of the space is legal"
    tried = 0
    for played in trial.probes:
        for row in range(min(_ROWS, len(played.before))):
            tried += _check_mask(trial, played, row)
    return tried, ""


def check_actions(trial: Trial) -> tuple[int, str]:
    """Actions outside the space are refused in any row, naming it; those at its edges are taken."""
    spec, tried = trial.spec, 0
    for played in trial.probes:
        row = len(played.before) - 1
        given = decode_actions(spec.encoding.action, played.actions).reshape(len(played.actions), -1)
        for what, component, number in _outside(trial):
            numbers = given.copy()
            numbers[row, component] = number
            encoded = encode_actions(spec.encoding.action, numbers)
            _refused_step(trial, f"an action with {what}", played.before.states, encoded, IllegalAction, row)
            tried += 1
        for what, component, number in _edges(trial):
            numbers = given.copy()
            numbers[:, component] = number
            try:
                trial.game.step(played.before.states, encode_actions(spec.encoding.action, numbers))
            except GameError as error:
                trial.fail(f"an action with {what} is refused ({error})")
            tried += 1
    return tried, ""


def check_after_the_end(trial: Trial) -> tuple[int, str]:
    """An episode that has ended takes no step, but can be observed."""
    tried = 0
    for played in trial.probes:
        for row in np.flatnonzero(ended(played.outcome)).tolist():
            after = take(played.outcome.positions, slice(row, row + 1))
            if trial.groups and after.legal_masks.any():
                trial.fail("an ended episode has legal actions")
            what = "a step after the end"
            _refused_step(trial, what, after.states, played.actions[row : row + 1], BadState, 0)
            tried += 1
    return tried, "" if tried else "no episode ended"


def check_states(trial: Trial) -> tuple[int, str]:
    """Bytes that no play leads to are refused as a bad state, or are a position like any other."""
    accepted = tried = 0
    for state in _garbage(trial):
        accepted += _check_state(trial, state)
        tried += 1
    return tried, f"{accepted} of them are states of the game"


def check_hints(trial: Trial) -> tuple[int, str]:
    """A hint is understood or refused; a game that takes none refuses all."""
    generator = trial.generator(4)
    hints = [bytes(size) for size in _HINT_SIZES] + [b"\xff" * size for size in _HINT_SIZES]
    hints += [generator.bytes(size) for size in _HINT_SIZES for _ in range(8)]
    hints += [b"hint", b"{}", b"0", b"\n", "ü".encode()]
    hints += [_mutated(hint, generator) for hint in trial.hints for _ in range(8) if hint]
    taken = sum(_check_hint(trial, hint) for hint in hints)
    for hint in trial.hints:
        if not _check_hint(trial, hint):
            trial.fail(f"hint 0x{hint[:32].hex()} is refused, and its author says that it is understood")
        for played in play(trial, purpose=12, rows=4, steps=_HINTED_STEPS, hint=hint):
            check_outcome(trial, played)
    note = f"{taken + len(trial.hints)} of them are understood" if trial.spec.hint else "takes none"
    return len(hints) + len(trial.hints), note


def _mutated(hint: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(hint)
    changed[int(generator.integers(len(hint)))] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def _check_mask(trial: Trial, played: Played, row: int) -> int:
    """Every action of each choice, tried in one row's state with the other choices as they were played."""
    game, spec, tried = trial.game, trial.spec, 0
    state = played.before.states[row : row + 1].copy()
    given = decode_actions(spec.encoding.action, played.actions[row : row + 1]).reshape(1, -1)
    for group in trial.groups:
        mask = legal(group, played.before.legal_masks[row : row + 1])[0]
        actions: npt.NDArray[np.intp] = np.arange(group.actions)
        if group.actions > _ACTIONS:
            actions = trial.generator(played.step).choice(group.actions, _ACTIONS, replace=False)
        for action in actions.tolist():
            numbers = given.copy()
            numbers[0, group.component] = action
            encoded = encode_actions(spec.encoding.action, numbers)
            if mask[action]:
                verdict = _taken(trial, state, encoded)
            else:
                verdict = trial.refuses(partial(game.step, state, encoded), IllegalAction, row=0)
            if verdict:
                whose = f" of agent {spec.agents[group.component].name!r}" if spec.agents else ""
                trial.fail(
                    f"action {action}{whose} in state {state.tobytes().hex()} {verdict}, "
                    f"but its mask bit is {int(mask[action])}"
                )
            tried += 1
    return tried


def _taken(trial: Trial, state: Row, action: Row) -> str:
    try:
        trial.game.step(state, action)
    except GameError as error:
        return f"is refused ({error})"
    return ""


def _outside(trial: Trial) -> Iterator[tuple[str, int, float | int]]:
    """Numbers outside the action space: what they are, at which component, which number."""
    match trial.spec.action_space:
        case Discrete(n):
            ends: tuple[int, ...] = (n,)
        case MultiDiscrete(nvec):
            ends = nvec
        case Box() as space:
            yield from _outside_box(space)
            return
    for component, end in enumerate(ends):
        for number in (end, end + 1, end + 255, 2**8 * end, 2**16, 2**31, 2**32 - 1):
            if end <= number < 2**32:
                yield f"number {component} = {number} of 0 to {end - 1}", component, number


def _outside_box(space: Box) -> Iterator[tuple[str, int, float]]:
    for component, (low, high) in enumerate(zip(space.low, space.high, strict=True)):
        yield f"value {component} = NaN", component, np.nan
        for bound, away in ((np.float32(low), np.float32(-np.inf)), (np.float32(high), np.float32(np.inf))):
            yield f"value {component} = {away}", component, float(away)
            if np.isfinite(bound):
                beyond = np.nextafter(bound, away)
                yield f"value {component} = {beyond!r}, beyond {bound!r}", component, float(beyond)


def _edges(trial: Trial) -> Iterator[tuple[str, int, float | int]]:
    """Numbers at the edges of a space without a mask; all of a small one's."""
    if trial.groups:
        return
    match trial.spec.action_space:
        case MultiDiscrete(nvec):
            for component, choices in enumerate(nvec):
                for number in sorted({*range(min(choices, _ROWS)), choices - 1}):
                    yield f"number {component} = {number}", component, number
        case Box(low, high):
            for component, bounds in enumerate(zip(low, high, strict=True)):
                for bound in map(np.float32, bounds):
                    if np.isfinite(bound):
                        yield f"value {component} = {bound!r}, its bound,", component, float(bound)


def _garbage(trial: Trial) -> Iterator[Row]:
    """States of no play, u8[1, S]: uniform bytes, and real states with one byte changed."""
    generator, size = trial.generator(3), trial.spec.state_bytes
    for byte in (0, 1, 0x7F, 0x80, 0xFF):
        yield np.full((1, size), byte, np.uint8)
    for _ in range(_RANDOM):
        yield generator.integers(0, 256, (1, size), np.uint8)
    real = np.concatenate(
        [positions.states[:8] for p in trial.probes for positions in (p.before, p.outcome.positions)]
    )
    for number in range(max(_MUTATIONS, 4 * size)):
        state = real[generator.integers(len(real))][None].copy()
        place = number % size
        state[0, place] = (
            generator.integers(0, 256) if number & 1 else state[0, place] ^ 1 << generator.integers(0, 8)
        )
        yield state


def _check_state(trial: Trial, state: Row) -> bool:
    """One state of any bytes; whether the game takes it for a position."""
    game, kept = trial.game, state.tobytes()
    try:
        position = game.observe(state)
    except BadState as error:
        if error.row != 0 or "\n" in str(error):
            trial.fail(f"state {kept.hex()} is refused, but not in one line that names row 0: {error}")
        _check_refused_everywhere(trial, state)
        return False
    except Exception as crash:
        said = f"raises {type(crash).__name__} ({crash}); BadState is due"
        raise trial.finding(f"observe of state {kept.hex()} {said}") from crash
    if position.states.tobytes() != kept or state.tobytes() != kept:
        trial.fail(f"observe of state {kept.hex()} gives or leaves other state bytes")
    try:
        check_position(trial, f"observe of state {kept.hex()}", position)
        game.render_text(kept)
        _step_any(trial, position)
    except Nonconformity:
        raise
    except Exception as crash:
        said = f"{type(crash).__name__} ({crash}) is raised"
        raise trial.finding(f"state {kept.hex()} is observed, but then {said}") from crash
    return True


def _check_refused_everywhere(trial: Trial, state: Row) -> None:
    """What observe refuses, step and render refuse as well, in any row."""
    game, played = trial.game, trial.probes[0]
    rows = min(2, len(played.before))
    states = np.concatenate([played.before.states[: rows - 1], state])
    _refused_step(
        trial,
        "a state that observe refuses, stepped,",
        states,
        played.actions[:rows].copy(),
        BadState,
        rows - 1,
    )
    verdict = trial.refuses(lambda: game.render_text(state.tobytes()), BadState)
    if verdict:
        trial.fail(f"rendering of state {state.tobytes().hex()}, which observe refuses, {verdict}")


def _step_any(trial: Trial, position: Positions) -> None:
    """A step from an accepted state: its successor is a state too, or the episode had ended."""
    game = trial.game
    if not goes_on(trial, position).all():
        action = np.zeros((1, trial.spec.action_bytes), np.uint8)
        _refused_step(trial, "a step of a state without legal actions", position.states, action, BadState, 0)
        return
    try:
        outcome = game.step(position.states, random_actions(game, position, trial.generator(5)))
    except BadState:
        if trial.groups:
            trial.fail(f"state {position.states.tobytes().hex()} has legal actions, and takes no step")
        return
    check_position(trial, "step", outcome.positions)
    trial.same_positions("observe of a successor", outcome.positions, game.observe(outcome.positions.states))


def _refused_step(
    trial: Trial, what: str, states: Row, actions: Row, error: type[GameError], row: int
) -> None:
    kept = states.tobytes(), actions.tobytes()
    if verdict := trial.refuses(lambda: trial.game.step(states, actions), error, row=row):
        trial.fail(f"{what} {verdict} (state {states[row].tobytes().hex()})")
    if kept != (states.tobytes(), actions.tobytes()):
        trial.fail(f"{what} is refused, and has changed the states or actions that were given")


def _check_hint(trial: Trial, hint: bytes) -> bool:
    """One hint; whether the game understands it."""
    game, shown = trial.game, hint[:32].hex()
    try:
        position = game.reset(trial.seeds(2), hint)
    except BadHint as error:
        if "\n" in str(error):
            trial.fail(f"hint 0x{shown} is refused in several lines: {str(error)!r}")
        return False
    except Exception as crash:
        said = f"raises {type(crash).__name__} ({crash}); BadHint is due"
        raise trial.finding(f"hint 0x{shown} {said}") from crash
    if not trial.spec.hint:
        trial.fail(f"hint 0x{shown} is taken, but spec.hint says that the game takes none")
    check_position(trial, f"reset with hint 0x{shown}", position)
    trial.same_positions(f"reset with hint 0x{shown} again", position, game.reset(trial.seeds(2), hint))
    trial.same_positions("observe after a hint", position, game.observe(position.states))
    return True
