"""Bad input is one line that names it, with exit code 2 or the right gRPC status, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from engine.client import EngineClient
from engine.errors import EngineRefused
from running_stack import Stack, Trained, make


@pytest.fixture
def engine(trained: Trained) -> Iterator[EngineClient]:
    """A client of the stack's engine."""
    with EngineClient(f"127.0.0.1:{trained.stack.ports.engine}") as client:
        yield client


def runs_of(stack: Stack) -> str:
    """All runs that there are, as `cartridge runs` shows them."""
    done = stack.do("runs")
    assert done.code == 0
    return done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chess",), "'chess': no such game; there are: 2048, arena, "),
        (("tictactoe", "--batch-size", "0"), "batch_size is 0: it must be 1 to 1,048,576"),
        (("tictactoe", "--batch-size", "many"), "--batch-size: invalid int value: 'many'"),
        (("tictactoe", "--hidden", "64,wide"), "--hidden: '64,wide' is no list of widths such as 64,64"),
        (("tictactoe", "--run", "../up"), "run is '../up': a name has letters"),
        (("tictactoe", "--stop-when", "perfect"), "stop_when is 'perfect'"),
        (("gridworld", "--hint", "01"), "hint is '01'"),
        (("tictactoe", "--where", "reward >> >"), "where is 'reward >> >': Parser Error"),
        (("tictactoe", "--where", "nosuch = 1"), 'Referenced column "nosuch" not found'),
        ((), "the following arguments are required: game"),
    ],
)
def test_a_run_that_cannot_be_is_refused(trained: Trained, arguments: tuple[str, ...], said: str) -> None:
    assert said in trained.stack.do("train", *arguments).refusal


def test_what_is_refused_is_not_submitted(trained: Trained) -> None:
    before = runs_of(trained.stack)
    refusal = trained.stack.do("train", "tictactoe", "--run", trained.run, "--seed", "9").refusal
    assert f"run is {trained.run!r}: there is a run of this name already" in refusal
    assert "where is" in trained.stack.do("train", "tictactoe", "--run", "whereless", "--where", "(").refusal
    assert runs_of(trained.stack) == before


def test_a_condition_that_fails_on_the_data_fails_its_run_alone(trained: Trained) -> None:
    stack = trained.stack
    learner = stack.process("learner")
    code, _, error = stack.run("train", "tictactoe", "--run", "rooted", "--where", "sqrt(reward - 1) > 0")
    assert (code, error) == (
        1,
        "error: run rooted failed: learner: where is 'sqrt(reward - 1) > 0': Out of Range Error: cannot take"
        " square root of a negative number\n",
    )
    assert (stack.process("learner").identity, stack.process("learner").restarts) == (
        learner.identity,
        learner.restarts,
    )
    done = stack.do("train", "tictactoe", "--stop-when", "", "--max-gradient-steps", "50")
    assert (done.code, done.error) == (0, ""), "the learner does not take other runs any more"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "nobody"), "run is 'nobody': there is no such run"),
        (("evaluate", "RUN", "--version", "9999"), "version is 9999: run RUN has 0 to "),
        (("games", "show", "chess"), "'chess': there is none; choose one of 2048, arena, "),
        (("games", "play", "tictactoe", "--against", "nobody"), "run is 'nobody': there is no such run"),
        (("games", "play", "tictactoe", "--player", "3"), "--player 3: tictactoe has players 1 to 2"),
        (("runs", "stop", "nobody"), "run is 'nobody': there is no such run"),
        (("sql", "SELECT 1", "--format", "xml"), "--format: invalid choice: 'xml'"),
        (("fly",), "invalid choice: 'fly'"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    trained: Trained, arguments: tuple[str, ...], said: str
) -> None:
    named = [argument.replace("RUN", trained.run) for argument in arguments]
    assert said.replace("RUN", trained.run) in trained.stack.do(*named).refusal


@pytest.mark.parametrize(
    "arguments",
    [
        ("sql", "SELECT 1"),
        ("train", "tictactoe"),
        ("evaluate", "anything"),
        ("replay", "show", "--run", "anything", "--episode", "last"),
        ("runs",),
        ("games", "play", "tictactoe", "--against", "anything"),
        ("compactor",),
        ("learner",),
        ("actor",),
    ],
)
def test_without_a_broker_each_command_says_so_at_once(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    stack = make(tmp_path / "home")
    began = time.monotonic()
    code, output, error = stack.run(*arguments, CARTRIDGE_KAFKA=f"127.0.0.1:{stack.ports.kafka}")
    assert (code, output) == (2, "")
    address = f"kafka 127.0.0.1:{stack.ports.kafka} does not answer (Connection refused)"
    assert error == f"error: {address}: start it with `./just up`, or set CARTRIDGE_KAFKA\n"
    assert time.monotonic() - began < 30, "it waits for a broker that refuses the connection"


def test_without_a_stack_status_and_down_say_so(tmp_path: Path) -> None:
    stack = make(tmp_path / "home")
    done = stack.do("status")
    assert (done.code, done.error) == (1, "")
    assert done.output.startswith("the stack is not running")
    done = stack.do("down")
    assert (done.code, done.error) == (0, "")
    assert done.output.startswith("the stack is not running")
    assert not stack.home.exists()


def test_the_engine_refuses_what_is_no_state_or_no_move(engine: EngineClient) -> None:
    start = engine.reset_batch("tictactoe", np.arange(2, dtype=np.uint64))
    corner = np.zeros((2, 4), np.uint8)
    after = engine.step_batch("tictactoe", start.states, corner).positions
    with pytest.raises(
        EngineRefused, match=r"^actions\[0\] = 0x00000000: cell 0 \(a1\) is taken; [^\n]+$"
    ) as refused:
        engine.step_batch("tictactoe", after.states, corner)
    assert refused.value.status is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(EngineRefused) as refused:
        engine.render("tictactoe", b"short")
    assert refused.value.status is grpc.StatusCode.INVALID_ARGUMENT
    assert "\n" not in str(refused.value)
    impossible = np.full_like(start.states, 7)
    with pytest.raises(EngineRefused) as refused:
        engine.step_batch("tictactoe", impossible, corner)
    assert refused.value.status is grpc.StatusCode.INVALID_ARGUMENT


def test_the_engine_refuses_unknown_games_and_too_many_rows(engine: EngineClient) -> None:
    with pytest.raises(EngineRefused, match="tictactoe") as refused:
        engine.capabilities("chess")
    assert refused.value.status is grpc.StatusCode.NOT_FOUND
    with pytest.raises(EngineRefused, match=r"65,?536") as refused:
        engine.reset_batch("tictactoe", np.arange(65_537, dtype=np.uint64))
    assert refused.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
