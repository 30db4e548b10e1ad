"""Mastermind in text and as a picture: the board as a player may see it, and guesses by their colours.

Enters: a typed state, a guess of four colours, or what a person typed. Leaves: text, a plan, or a guess.
Invariant: the secret is not told before the episode has ended.
"""

from __future__ import annotations

from typing import Any

from games.errors import BadActionText
from games.mastermind.state import COLOURS, CRACKED, GOES_ON, PEGS, TURNS
from games.render.board import board_plan, disc, row_labels, tiles
from games.render.plan import Circle, Command, RenderPlan, RenderSpec, Text

LETTERS = "ROYGBV"  # colours 0-5 in the order of the rainbow
_PEG_COLOURS = ("#d1242f", "#e16f24", "#eac54f", "#2da44e", "#218bff", "#8250df")
_LEGEND = """\
R red, O orange, Y yellow, G green, B blue, V violet
# right colour in the right place, + right colour elsewhere"""


def board_text(state: Any) -> str:
    """The board of one `STATE` record: the secret (hidden until the end), ten turns, a legend, and how it stands."""
    status, guesses = int(state["status"]), int(state["guesses"])
    secret = "? ? ? ?" if status == GOES_ON else _spaced(state["secret"])
    lines = [f"    {secret}"]
    for number, turn in enumerate(state["turns"], 1):
        if number > guesses:
            lines.append(f"{number:2}  . . . .")
        else:
            answer = "#" * int(turn["black"]) + "+" * int(turn["white"])
            lines.append(f"{number:2}  {_spaced(turn['guess'])}  {answer:.<4}")
    return "\n".join([*lines, _LEGEND, status_text(status, guesses)])


def board_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """The board of one `STATE` record: the secret (hidden until the end), ten turns, black and white keys."""
    palette, status, guesses = spec.palette, int(state["status"]), int(state["guesses"])
    commands = [
        *row_labels((str(number + 1) for number in range(TURNS)), palette),
        *tiles(PEGS, TURNS + 1, palette.board, x=2, y=0),
    ]
    if status == GOES_ON:
        commands += [Text(2.5 + peg, 0.5, "?", palette.faint, anchor="middle") for peg in range(PEGS)]
    else:
        commands += _pegs(0, state["secret"])
    for number, turn in enumerate(state["turns"][:guesses], 1):
        commands += _pegs(number, turn["guess"])
        black = int(turn["black"])
        for key in range(black + int(turn["white"])):
            fill, glyph = (palette.ink, "#") if key < black else (None, "+")
            commands.append(
                Circle(
                    7 + key + 0.5, number + 0.5, 0.2, fill, stroke=palette.ink, stroke_width=0.06, glyph=glyph
                )
            )
    words = "\n".join([_LEGEND, status_text(status, guesses)])
    return board_plan(11, TURNS + 1, commands, words, spec)


def _pegs(row: int, colours: Any) -> list[Command]:
    return [
        command
        for peg, colour in enumerate(colours.tolist())
        for command in disc(2 + peg, row, _PEG_COLOURS[colour], glyph=LETTERS[colour])
    ]


def status_text(status: int, guesses: int) -> str:
    """Which guess comes next, or how the episode ended, e.g. "guess 3 of 10"."""
    if status == GOES_ON:
        return f"guess {guesses + 1} of {TURNS}"
    if status == CRACKED:
        return f"cracked with guess {guesses}"
    return f"not cracked in {TURNS} guesses"


def guess_text(guess: Any) -> str:
    """Four colours 0..5 as letters, e.g. "ROYG"."""
    return "".join(LETTERS[int(colour)] for colour in guess)


def parse_guess(text: str) -> tuple[int, ...]:
    """The four colours that a person means by "ROYG", "r o y g" or "0123".

    Raises:
        BadActionText: it is none of these.
    """
    words = [_COLOUR_OF.get(letter, COLOURS) for letter in "".join(text.split()).upper()]
    if len(words) == PEGS and max(words) < COLOURS:
        return tuple(words)
    raise BadActionText(
        f"guess {text.strip()!r}: not four colours; type four letters of {LETTERS}, such as ROYG, or four digits 0-5"
    )


def _spaced(guess: Any) -> str:
    return " ".join(guess_text(guess))


_COLOUR_OF = {letter: colour for colour, letter in enumerate(LETTERS)} | {
    str(colour): colour for colour in range(COLOURS)
}
