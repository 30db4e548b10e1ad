"""The arena behind the game contract.

Enters: byte columns. Leaves: byte columns, or an exception that names the refused row and value.
Invariant: the kernels decide everything; this adapter only names what they refuse.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.arena import kernels, render
from games.arena.arenas import MAPS, tables
from games.arena.loadouts import ACTIONS, AGENT_SPECS, plan
from games.arena.state import AGENTS, SIDE, STATE_BYTES, typed
from games.batch import U8, Outcomes, Positions, check_column
from games.contract import Game
from games.errors import BadHint, BadState, IllegalAction
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Encoding, GameSpec, MultiDiscrete

_OBS_SIZE = sum(agent.obs_size for agent in AGENT_SPECS)

_SPEC = GameSpec(
    env_id="arena",
    build_id="arena-1",
    encoding=Encoding(
        state="state:packed_u8:v1", action="action:u32x4:v1", obs=f"obs:f32x{_OBS_SIZE}:v1", schema_version=1
    ),
    max_horizon=kernels.HORIZON,
    action_space=MultiDiscrete(tuple(agent.actions for agent in AGENT_SPECS)),
    preferred_batch=256,
    players=len(AGENTS),
    state_bytes=STATE_BYTES,
    action_bytes=4 * len(AGENTS),
    obs_shape=(_OBS_SIZE,),
    zero_sum=True,
    perfect_information=False,
    stochastic=True,
    hint=f"1 byte, the number of a map, 0-{len(MAPS) - 1}; empty for one that the seed draws",
    agents=AGENT_SPECS,
    grid=(SIDE, SIDE),
)

_WRONG_STATE = {
    kernels.BAD_MAP: f"the map (byte 16) is above {len(MAPS) - 1}",
    kernels.BAD_AGENT: "an agent (cell bytes 20-23, health bytes 24-27) is in a wall, off the map, in another's cell, "
    "or its health does not fit; 255 and 0 is out",
    kernels.BAD_FLAG: "the flag (byte 19) is in a wall, off the map or under an agent",
    kernels.BAD_STEPS: f"the steps (byte 18) are above {kernels.HORIZON}",
    kernels.BAD_STATUS: "the status (byte 17) disagrees with who is out and the steps",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class Arena(Game):
    """Two teams, red and blue, of a scout and a guard each, on a walled grid of 11 by 11. All four act at once.

    |                                         | scout                      | guard                 |
    |-----------------------------------------|----------------------------|-----------------------|
    | health at the start                     | 2                          | 3                     |
    | sees as far as                          | 4 cells                    | 3 cells               |
    | shoots as far as                        | 2 cells                    | 3 cells               |
    | moves                                   | in 8 directions            | in 4 directions       |
    | actions: stay is 0, then                | 1-4 north south west east, | 1-4 north south west  |
    |                                         | 5-8 northwest northeast    | east, 5 shoot-scout,  |
    |                                         | southwest southeast, 9     | 6 shoot-guard         |
    |                                         | shoot-scout, 10 shoot-guard|                       |

    A distance is the larger one of rows and columns. A line of sight is that of `games.sight`. Staying is always legal.
    A move is, if it leads along a line of sight to an open cell of the map, whoever stands there (so no scout slips
    between two walls that touch at their corners). A shot is, if that opponent is in, in sight and in range: then the
    shooter sees it too. A step is:

    1. All shots hit at once: each takes 1 of its target's health, and gives the shooter +1 and the target -1.
    2. Who has no health left is out: it leaves the grid and stays out, and from then on can only stay. What it wanted
       in this step, other than to shoot, is void.
    3. All moves at once. Who wants a cell that another one wants too (to stay in, or to move to) stays. Two who want
       each other's cells stay. Who wants the cell of somebody who stays, stays; and so on, until nothing changes. The
       others move: also into cells that are left in this step, around in a ring, and crosswise past each other.
    4. Who stands on the flag takes it: +1, and -0.5 for each opponent, also if out. The flag appears at once on an open
       cell where nobody stands, drawn uniformly.
    5. A team whose agents are both out has lost: -2 for each of its agents, +2 for each of the others, also if out. If
       both teams are, nobody gets that. Either way the episode is terminated. After 100 steps it is truncated.

    A step's rewards sum to zero. Nothing depends on the order of the agents: turn the map half around and let the teams
    change places, and everything that happens is turned too, but for where a flag appears.

    reset: ChaCha20 of the seed draws, in this order, the map (0-3), a cell for each agent in order, among the free
    cells of its side (the two columns at the left for red, at the right for blue), and the flag's among all free cells.
    Each is `games.chacha.below` of their number, free cells counted row by row. A map by the hint replaces the drawn
    one.
    hint: 1 byte, the number of a map; empty for the drawn one.
    obs, an agent's part: 2 planes of a square around it, 9 by 9 for scouts and 7 by 7 for guards, of what it sees. The
    ground: 1 on open cells, -1 on walls. The agents: the share of health left to its ally, less that of an opponent,
    itself not shown. 0 is what it does not see, and where nobody stands. Then the flag: 1 if seen, its rows down and
    columns right over how far the agent sees, else 0 for all three. Then its row and its column over 10, the share of
    health left to it and to its ally, the share of steps left. Who is out has 0 for planes, flag and place.
    info: bits 0-3 who is in, a bit an agent in their order; 4-7 who was hit in this step; 8-11 who wanted to move and
    stayed; 12-15 who took the flag; 16-23 the status (see `games.arena.state`); 24-31 the steps played.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if len(hint) > 1 or (hint and hint[0] >= len(MAPS)):
            raise BadHint(f"hint = 0x{hint[:16].hex()}: arena takes {_SPEC.hint}")
        kernels.reset(
            seeds,
            hint[0] if hint else -1,
            tables().ground,
            tables().moves,
            tables().reach,
            out.states,
            out.legal_masks,
            out.players,
        )
        plan().write(out.states, out.obs)

    def _step(self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], out: Outcomes) -> None:
        to = out.positions
        refused = kernels.step(
            states,
            actions,
            tables().ground,
            tables().moves,
            tables().reach,
            to.states,
            to.legal_masks,
            to.players,
            out.rewards,
            out.terminated,
            out.truncated,
            out.info,
        )
        if refused != kernels.OK:
            _refuse(refused, states, actions)
        plan().write(to.states, to.obs)

    def _observe(self, states: npt.NDArray[np.uint8], out: Positions) -> None:
        known = tables()
        refused = kernels.observe(
            states, known.ground, known.moves, known.reach, out.states, out.legal_masks, out.players
        )
        if refused != kernels.OK:
            _refuse(refused, states, states)
        plan().write(out.states, out.obs)

    def _visible(
        self, states: npt.NDArray[np.uint8], cells: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint64]:
        seen: npt.NDArray[np.uint64] = tables().sight[typed(states)["map"], cells]
        return seen

    def render_text(self, state: bytes) -> str:
        row = np.frombuffer(state, np.uint8).reshape(1, -1)
        self.observe(row)  # refuses impossible states
        return render.map_text(typed(row)[0])

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        return render.map_picture(typed(np.frombuffer(state, np.uint8).reshape(1, -1))[0], spec)

    def action_text(self, action: bytes) -> str:
        row = np.frombuffer(action, np.uint8).reshape(1, -1)
        check_column("action", row, U8, (1, _SPEC.action_bytes))
        words = []
        for agent, number in enumerate(row.view("<u4")[0].tolist()):
            if number >= len(ACTIONS[agent & 1]):
                raise IllegalAction(0, action, _no_action(agent, number))
            words.append(ACTIONS[agent & 1][number])
        return " ".join(words)

    def parse_action(self, text: str) -> bytes:
        return np.array(render.parse_words(text), "<u4").tobytes()


def _no_action(agent: int, number: int) -> str:
    return f"{AGENTS[agent]} has no action {number}; give 0-{len(ACTIONS[agent & 1]) - 1}"


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action, agent = actions[row].tobytes(), reason & 3
    number = int.from_bytes(action[4 * agent : 4 * agent + 4], "little")
    if reason < kernels.NOT_LEGAL:
        raise IllegalAction(row, action, _no_action(agent, number))
    word = ACTIONS[agent & 1][number]
    raise IllegalAction(
        row, action, f"{AGENTS[agent]} cannot {word} ({number}); choose one of its legal mask"
    )
