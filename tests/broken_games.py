"""Games that break the contract, each in one way: conformance must find every one of them.

In: nothing. Out: `BROKEN`: each with the words that its finding must have, a regular expression.
Invariant: a broken game differs from a sound one in the one thing that its docstring says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from games.arena.game import Arena
from games.batch import Outcomes, Positions
from games.contract import Game
from games.errors import BadBatch, BadState, IllegalAction
from games.tictactoe.game import TicTacToe
from sound_games import Drift, Walkers

U8 = npt.NDArray[np.uint8]

TICTACTOE = TicTacToe().spec
LANES = Walkers().spec
BROKEN: dict[type[Game], str] = {}


def broken(words: str) -> Callable[[type[Game]], type[Game]]:
    """Registers a broken game with what its finding says."""

    def register(game: type[Game]) -> type[Game]:
        BROKEN[game] = words
        return game

    return register


class Tampered(TicTacToe):
    """Tic-tac-toe whose positions pass through `tamper` wherever they are told."""

    def tamper(self, out: Positions) -> None:
        """Change a told position."""

    def _reset(self, seeds: Any, hint: bytes, out: Positions) -> None:
        super()._reset(seeds, hint, out)
        self.tamper(out)

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        self.tamper(out.positions)

    def _observe(self, states: Any, out: Positions) -> None:
        super()._observe(states, out)
        self.tamper(out)


@broken("action 4 in state .* is taken, but its mask bit is 0")
class HiddenMove(Tampered):
    """The mask hides the centre."""

    def tamper(self, out: Positions) -> None:
        # The last stone may go there, so that the mask is not empty before the end.
        out.legal_masks[...] &= np.where(out.legal_masks == 16, 16, ~np.uint64(16)).astype(np.uint64)


@broken("an action of the mask is refused")
class AddedMove(Tampered):
    """The mask offers taken cells."""

    def tamper(self, out: Positions) -> None:
        out.legal_masks[...] = np.where(out.legal_masks > 0, 511, 0)


@broken("a legal mask has bits of actions that there are not")
class TenthCell(Tampered):
    """The mask has a bit beyond the action space."""

    def tamper(self, out: Positions) -> None:
        out.legal_masks[...] |= np.where(out.legal_masks > 0, 512, 0).astype(np.uint64)


@broken("an observation is not finite")
class NoNumber(Tampered):
    """An observation holds an infinity."""

    def tamper(self, out: Positions) -> None:
        out.obs[:, 3] /= np.where(out.obs[:, 3] > 0, 1, np.inf)
        out.obs[out.obs[:, 4] > 0, 4] = np.inf


@broken("player 2 is to move; there are 0 to 1")
class ThirdPlayer(Tampered):
    """A player beyond those of the spec moves."""

    def tamper(self, out: Positions) -> None:
        out.players[...] *= 2


@broken("alone gives other obs")
class Neighbours(Tampered):
    """A row knows how many others there are."""

    def tamper(self, out: Positions) -> None:
        out.obs[:, 28] = len(out)


@broken("reset of row 1 alone gives other obs")
class Numbered(Tampered):
    """A row of a batch of several knows its place in it."""

    def tamper(self, out: Positions) -> None:
        out.obs[:, 28] = np.arange(len(out)) % 16


@broken("says perfect information, and one observation has two legal masks")
class Blindfold(Tampered):
    """The observation hides the stones, and the spec does not say so."""

    def tamper(self, out: Positions) -> None:
        out.obs[:, :27] = 0


@broken("says perfect information, and one observation has two legal masks")
class Clairvoyant(Arena):
    """No agent sees the whole arena, and the spec says that each does."""

    spec = replace(Arena().spec, perfect_information=True)


@broken("an episode is longer than max_horizon = 3")
class Endless(TicTacToe):
    """The horizon is too short."""

    spec = replace(TICTACTOE, max_horizon=3)


@broken("step changes the states")
class Scribbler(TicTacToe):
    """The states that are given are overwritten."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        if states.flags.writeable:
            states[0] = out.positions.states[0]


@broken("the same step gives other truncated")
class HalfWritten(TicTacToe):
    """A column is left as it was."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        kept = out.truncated.copy()
        super()._step(states, actions, out)
        out.truncated[...] = kept & 1


@broken("step does not return the buffers that it was given")
class OwnBuffers(TicTacToe):
    """The caller's buffers are ignored."""

    def step(self, states: Any, actions: Any, *, out: Outcomes | None = None) -> Outcomes:
        del out
        return super().step(states, actions)


@broken("an episode is both terminated and truncated")
class TwiceEnded(TicTacToe):
    """An end counts twice."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        out.truncated[...] = out.terminated


@broken("observe of a successor gives other states")
class Unknown(TicTacToe):
    """Observing tidies a state up."""

    def _observe(self, states: Any, out: Positions) -> None:
        super()._observe(states, out)
        out.states[out.states[:, 10] > 0, 9] = 0


@broken("raises IndexError .* BadState is due")
class Trusting(TicTacToe):
    """Bytes of a state are an index."""

    def _observe(self, states: Any, out: Positions) -> None:
        np.zeros(3)[states[:, :9].max(initial=0)]
        super()._observe(states, out)


@broken("a state that observe refuses, stepped, is refused with IllegalAction")
class Lenient(TicTacToe):
    """Steps do not look at the player to move, only at whether the cell is free."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        mended = states.copy()
        mended[:, 9] = (mended[:, :9] > 0).sum(axis=1) % 2
        super()._step(mended, actions, out)


@broken("number 0 = 9 of 0 to 8 is taken")
class Modulo(TicTacToe):
    """Actions beyond the space begin again at 0."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        numbers = actions.copy().view("<u4") % 9
        super()._step(states, numbers.astype("<u4").view(np.uint8), out)


@broken("naming row 0; the first wrong one is row")
class FirstRow(TicTacToe):
    """Whatever is refused, row 0 is named."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        try:
            super()._step(states, actions, out)
        except IllegalAction as error:
            raise IllegalAction(0, error.value, error.reason) from error


@broken("a step after the end is taken")
class Afterlife(TicTacToe):
    """An ended episode goes on standing still."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        if len(states) == 1 and states[0, 10]:
            self._observe(states, out.positions)
            return
        super()._step(states, actions, out)


@broken("is taken, but spec.hint says that the game takes none")
class Obliging(TicTacToe):
    """Hints are taken and not read."""

    def _reset(self, seeds: Any, hint: bytes, out: Positions) -> None:
        del hint
        super()._reset(seeds, b"", out)


@broken("raises UnicodeDecodeError .* BadHint is due")
class Literate(TicTacToe):
    """Hints are taken for text."""

    spec = replace(TICTACTOE, hint="a word")

    def _reset(self, seeds: Any, hint: bytes, out: Positions) -> None:
        hint.decode("ascii")
        super()._reset(seeds, b"", out)


@broken("does not survive its own text")
class Mumbler(TicTacToe):
    """Two actions have one text."""

    def action_text(self, action: bytes) -> str:
        return super().action_text(action).replace("c3", "c2")


@broken("renders to nothing")
class Invisible(TicTacToe):
    """A board without a picture in text."""

    def render_text(self, state: bytes) -> str:
        super().render_text(state)
        return ""


@broken("raises KeyError")
class Untidy(TicTacToe):
    """A move that cannot be read escapes as another error."""

    def parse_action(self, text: str) -> bytes:
        return {name: super(Untidy, self).parse_action(name) for name in ("a1", "b2")}[text]


@broken("says that it is stochastic, and .* seeds play alike")
class Certain(TicTacToe):
    """Nothing is random, but the spec says so."""

    spec = replace(TICTACTOE, stochastic=True)


@broken("one action at one observation leads to two outcomes")
class Denial(Drift):
    """Chance plays, but the spec says that it does not; all start alike."""

    spec = replace(Drift.spec, stochastic=False)


@broken("value 0 = NaN is taken")
class AnyNumber(Drift):
    """NaN goes through the bounds."""

    def _step(self, states: U8, actions: U8, out: Outcomes) -> None:
        super()._step(states, np.nan_to_num(actions.copy().view("<f4")).astype("<f4").view(np.uint8), out)


@broken("an action of the mask is refused")
class HalfOpen(Drift):
    """The upper bound is not in the box."""

    def _step(self, states: U8, actions: U8, out: Outcomes) -> None:
        self._refuse((actions.copy().view("<f4") == np.array((1, 0.5), np.float32)).any(axis=1), actions)
        super()._step(states, actions, out)


@broken("agent 'walker' has no legal action while the episode goes on")
class Idle(Walkers):
    """One agent has nothing to do after a while."""

    def _observe(self, states: U8, out: Positions) -> None:
        super()._observe(states, out)
        out.legal_masks[states[:, 3] > 2, 0] = 0


@broken("says zero-sum, and rewards")
class Generous(Walkers):
    """The spec says zero-sum; the walker gets 1, the runner a half."""

    spec = replace(LANES, zero_sum=True)


@broken("says that it decodes 'state:older:v1', and refuses rows of every size")
class Forgetful(Walkers):
    """The spec names an older encoding that is not understood."""

    spec = replace(LANES, decodes=("state:older:v1",))

    def _upgrade_states(self, encoding: str, states: U8) -> U8:
        raise BadBatch(f"states: {states.shape[1]} bytes are not {encoding}")


class Heir(Walkers):
    """Understands an older encoding, which has no steps."""

    spec = replace(LANES, decodes=("state:older:v1",))


@broken("says that it decodes 'state:older:v1', and takes none of .* rows; give one that it must take")
class Snob(Heir):
    """The spec names an older encoding of which no state is ever good enough."""

    def _upgrade_states(self, encoding: str, states: U8) -> U8:
        raise BadState(0, states[0].tobytes(), f"is too old for {encoding}")


@broken("makes one state of .* different ones of 'state:older:v1'")
class Leveller(Heir):
    """Whatever an older state was, it becomes the same."""

    def _upgrade_states(self, encoding: str, states: U8) -> U8:
        upgraded = super()._upgrade_states(encoding, states)
        upgraded[:] = 5, 0, 4, 0
        return upgraded


@broken("NotImplementedError")
class Promising(TicTacToe):
    """The spec names an older encoding, and there is no decoder."""

    spec = replace(TICTACTOE, decodes=("state:older:v1",))


@broken("one sees the other and is not seen by it")
class Mirror(Walkers):
    """Cell 8, outside the lane, sees cell 0 and is not seen by it."""

    def _visible(self, states: U8, cells: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
        seen = super()._visible(states, cells)
        seen[cells == 8] |= np.uint64(1)
        return seen


@broken("env_id 'tic.tac.toe': use letters, digits, - and _, a letter or digit first, 40 at most")
class Dotted(TicTacToe):
    """The game's name fits no run's name."""

    spec = replace(TICTACTOE, env_id="tic.tac.toe")


@broken("build_id 'one two'")
class Spaced(TicTacToe):
    """The build's name fits no path."""

    spec = replace(TICTACTOE, build_id="one two")
