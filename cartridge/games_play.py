"""A game between a person and a policy, on standard input and output.

In: a game, a policy, moves on standard input. Out: pictures and words on standard output, an exit code.
Invariant: a move that is not understood or not legal changes nothing: one line says why, and it is asked for again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cartridge.errors import UsageError
from cartridge.settings import Settings
from games.contract import Box, Discrete, Game, GameSpec, Outcomes, Positions, encode_actions
from games.errors import BadActionText, IllegalAction
from games.moves import MaskGroup, legal, mask_groups, random_actions
from games.render.plan import DARK, RenderSpec
from games.render.terminal import terminal

# N positions to actions u8[N, A], one for the player to move or for all agents.
Policy = Callable[[Positions], npt.NDArray[np.uint8]]

RANDOM = "random"
_LEAVE = ("quit", "exit", "q")
_INTERRUPTED = 130
_MOST_LISTED = 60  # legal moves that are told one by one


def seat(spec: GameSpec, name: str, option: str) -> int:
    """The number, from 0, of an agent by its name, or of an agent or player by its number from 1.

    Raises UsageError when there is none.
    """
    names = [agent.name for agent in spec.agents]
    if name in names:
        return names.index(name)
    if name.isascii() and name.isdigit() and 1 <= int(name) <= spec.players:
        return int(name) - 1
    there = f"agents {', '.join(names)}" if names else f"players 1 to {spec.players}"
    raise UsageError(f"{option} {name}: {spec.env_id} has {there}")


def person(spec: GameSpec, *, player: int, agent: str | None) -> int:
    """Which player or agent the person is, from 0. Raises UsageError when there is none."""
    if agent is not None and not spec.agents:
        raise UsageError(
            f"--agent {agent}: in {spec.env_id} nobody moves at once; give --player 1 to {spec.players}"
        )
    return seat(spec, str(player) if agent is None else agent, "--player" if agent is None else "--agent")


def opponent(game: Game, against: str, *, seed: int, settings: Settings) -> Policy:
    """The policy of all others: random moves, or a run's. Raises UsageError when there is no other, no run,
    or one of another game."""
    if against == RANDOM:
        return random_policy(game, seed)
    if game.spec.players == 1:
        raise UsageError(
            f"--against {against}: {game.spec.env_id} has one player, there is nobody to play against"
        )
    # Kafka and the object store are asked only for who asks for a trained opponent.
    from cartridge.policies import load_policy

    policy: Policy = load_policy(settings, against, spec=game.spec)
    return policy


def random_policy(game: Game, seed: int) -> Policy:
    """Uniform over the legal actions; the same seed plays the same moves."""
    generator = np.random.default_rng(seed)

    def policy(positions: Positions) -> npt.NDArray[np.uint8]:
        return random_actions(game, positions, generator)

    return policy


class Table:
    """One episode at a time between a person and a policy.

    Args:
        game: of any action space.
        policy: moves for all others.
        person: the person's player or agent number, from 0.
        colour: whether the terminal shows colours.
    """

    def __init__(self, game: Game, policy: Policy, person: int, *, colour: bool = False) -> None:
        self._game, self._policy, self._person, self._colour = game, policy, person, colour
        self._groups = mask_groups(game.spec)
        self._returns = np.zeros(game.spec.players)
        self._steps = 0

    @property
    def name(self) -> str:
        """What the person is called, e.g. "player 1" or "agent red_scout"."""
        return f"agent {self._title(self._person)}" if self._game.spec.agents else self._title(self._person)

    def say(self, text: str) -> None:
        """One or more lines to the person."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def play(self, position: Positions) -> int:
        """Play from one position to the end. Returns the exit code: 0, 130 where the person interrupts."""
        try:
            while position is not None:
                self._show(position)
                action = self._action(position)
                if action is None:
                    self.say("Left the game.")
                    return 0
                outcome = self._game.step(position.states, action)
                self._count(position, outcome)
                position = outcome.positions
                if outcome.terminated[0] or outcome.truncated[0]:
                    self._show(position)
                    self.say(self._verdict(outcome))
                    return 0
        except KeyboardInterrupt:
            self.say("\nLeft the game.")
        return _INTERRUPTED

    def _action(self, position: Positions) -> npt.NDArray[np.uint8] | None:
        """What is played next, by whoever moves; None where the person leaves."""
        spec, mover = self._game.spec, int(position.players[0])
        if not spec.agents and mover != self._person:
            action = self._policy(position)
            self.say(f"{self._title(mover)} plays {self._game.action_text(action.tobytes())}")
            return action
        # Before the person is asked, so that the others do not know the answer.
        others = self._policy(position) if spec.agents else None
        mine = self._ask(position)
        if mine is None or others is None:
            return mine
        joint = others.copy()
        own = slice(4 * self._person, 4 * self._person + 4)
        joint[:, own] = mine[:, own]
        self.say(f"all play {self._game.action_text(joint.tobytes())}")
        return joint

    def _ask(self, position: Positions) -> npt.NDArray[np.uint8] | None:
        """A legal action from the person, None where they leave; of other agents it holds what is legal."""
        prompt = f"{self._title(self._person)}> " if self._game.spec.agents else "your move> "
        while True:
            sys.stdout.write(prompt)
            sys.stdout.flush()
            line = sys.stdin.readline()
            if not sys.stdin.isatty():
                self.say(line.strip())  # what a terminal would have echoed
            if not line or line.strip().lower() in _LEAVE:
                if not line and sys.stdin.isatty():
                    self.say("")
                return None
            if line.strip() == "?":
                self.say(f"you may play {self._choices(position)}; quit leaves the game")
                continue
            action = self._understood(position, line)
            if action is not None:
                return action

    def _understood(self, position: Positions, line: str) -> npt.NDArray[np.uint8] | None:
        """What a person has typed as an action, or None after a line that says why it is none."""
        try:
            action = _row(self._game.parse_action(self._joined(position, line)))
            self._game.step(position.states, action)
        except BadActionText as error:
            self.say(
                f"move {line.strip()!r}: you may play {self._choices(position)}"
                if self._game.spec.agents
                else str(error)
            )
        except IllegalAction as error:
            why = error.reason.partition(";")[0]
            self.say(f"move {line.strip()!r}: {why}; you may play {self._choices(position)}")
        else:
            return action
        return None

    def _joined(self, position: Positions, line: str) -> str:
        """A person's word among words of the other agents, each for something legal."""
        if not self._game.spec.agents:
            return line
        words = self._words(position, {})
        words[self._person] = line.strip() if len(line.split()) == 1 else "?"
        return " ".join(words)

    def _words(self, position: Positions, chosen: dict[int, int]) -> list[str]:
        """Words of a joint action: for each agent the first that is legal, or the one that is `chosen`."""
        first = [int(np.argmax(legal(group, position.legal_masks)[0])) for group in self._groups]
        numbers = [chosen.get(agent, number) for agent, number in enumerate(first)]
        joint = encode_actions(self._game.spec.encoding.action, np.array([numbers]))
        return self._game.action_text(joint.tobytes()).split()

    def _choices(self, position: Positions) -> str:
        """What the person may play, in words."""
        spec = self._game.spec
        if not self._groups:
            return _space_text(spec)
        group: MaskGroup = self._groups[self._person if spec.agents else 0]
        actions = np.flatnonzero(legal(group, position.legal_masks)[0]).tolist()
        listed = actions[:_MOST_LISTED]
        if spec.agents:
            words = [self._words(position, {self._person: action})[self._person] for action in listed]
        else:
            rows = encode_actions(spec.encoding.action, np.array(listed))
            words = [self._game.action_text(row.tobytes()) for row in rows]
        more = f" and {len(actions) - len(listed)} more" if len(actions) > len(listed) else ""
        return ", ".join(words) + more

    def _show(self, position: Positions) -> None:
        sight = None if self._game.spec.perfect_information else self._person
        plan = self._game.plan(position.states.tobytes(), RenderSpec(viewpoint=sight, palette=DARK))
        self.say("")
        self.say(terminal(plan, colour=self._colour))

    def _count(self, before: Positions, outcome: Outcomes) -> None:
        spec, rewards = self._game.spec, outcome.rewards.reshape(-1)
        self._steps += 1
        if spec.agents:
            self._returns += rewards
            return
        mover = int(before.players[0])
        if spec.zero_sum and spec.players == 2:
            self._returns[1 - mover] -= rewards[0]
        self._returns[mover] += rewards[0]

    def _verdict(self, outcome: Outcomes) -> str:
        """How the episode went for the person."""
        spec, mine = self._game.spec, float(self._returns[self._person])
        if spec.zero_sum and spec.players == 2 and not spec.agents:
            return "Nobody wins." if mine == 0 else "You win." if mine > 0 else "You lose."
        end = "The episode has ended" if outcome.terminated[0] else "Time is up"
        others = [
            f"{self._title(number)} {value:g}"
            for number, value in enumerate(self._returns.tolist())
            if number != self._person
        ]
        rest = f" ({', '.join(others)})" if others else ""
        return f"{end} after {self._steps} steps: your return is {mine:g}{rest}."

    def _title(self, number: int) -> str:
        agents = self._game.spec.agents
        return agents[number].name if agents else f"player {number + 1}"


def _space_text(spec: GameSpec) -> str:
    """An action space without a mask in words."""
    match spec.action_space:
        case Discrete(n):
            return f"a number 0 to {n - 1}"
        case Box(low, high):
            return " and ".join(f"a number {down:g} to {up:g}" for down, up in zip(low, high, strict=True))
        case multi:
            return "one each of " + ", ".join(f"0-{choices - 1}" for choices in multi.nvec)


def _row(action: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(action, np.uint8).reshape(1, -1)
