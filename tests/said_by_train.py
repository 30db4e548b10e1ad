"""What `up` and `train` say of a run, as a reader of a pipe sees it.

In: a command's exit code and words. Out: the run's name, the commands proposed; or an assertion.
Invariant: a line that is not as expected fails, none is passed over.
"""

from __future__ import annotations

import re

from running_stack import Done

# One line every two seconds, with everything that is known of the run.
FIGURES = (
    r" *\d+\.\d s  transitions/s [\d,]+; transitions [\d,]+; episodes [\d,]+; shards sealed [\d,]+ with [\d,]+ rows;"
    r" rows in the window [\d,]+; gradient steps [\d,]+; samples per insert \d+\.\d\d; loss \d+\.\d{5};"
    r" weights (-|v\d+) \(actors play (-|v\d+(, v\d+)*), \d+ ms after\);"
    r" strength (-|\d+\.\d\d% of lines not lost \(lost as first \d+, as second \d+\))"
)
_SEAT = re.compile(
    r"^  as (first|second) player +(\d+) lines: (\d+) lost, (\d+) drawn, (\d+) won$", re.MULTILINE
)


def run_of(done: Done) -> str:
    """The run that `up` or `train` names in what it prints at the end."""
    found = re.search(r"^  \./just evaluate (\S+)$", done.output, re.MULTILINE)
    assert found is not None, done
    return found[1]


def next_commands(done: Done) -> list[str]:
    """What `up` or `train` proposes to do next."""
    _, _, proposed = done.output.partition("What to do next:\n")
    return [line.strip() for line in proposed.splitlines()]


def check_plain_lines(done: Done) -> None:
    """The run was shown in plain lines with every figure."""
    assert "\x1b" not in done.output
    progress = [line for line in done.output.splitlines() if re.match(r" *\d+\.\d s  ", line)]
    assert progress, done
    for line in progress:
        assert re.fullmatch(FIGURES, line), line


def check_unbeatable(done: Done) -> None:
    """`up` or `train` ended well, with the evidence."""
    assert (done.code, done.error) == (0, ""), done
    check_plain_lines(done)
    verdict = "The learned policy is unbeatable: against every possible sequence of replies it loses no line."
    assert verdict in done.output
    seats = _SEAT.findall(done.output)
    assert [seat for seat, *_ in seats] == ["first", "second"]
    for _, lines, lost, drawn, won in seats:
        assert int(lost) == 0
        assert int(lines) == int(drawn) + int(won) > 10
