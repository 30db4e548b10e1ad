"""docs/engine-api.md: every example is made, against a running engine, by what reflection tells of its services."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from engine import limits
from engine.calls import CONTROL_THREADS
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.service import SERVICES
from markdown import rows, section
from source_tree import ROOT

TEXT = (ROOT / "docs" / "engine-api.md").read_text()
ADDRESS = "127.0.0.1:50051"


@dataclass(frozen=True)
class Example:
    """One grpcurl command: a call with its JSON messages, or a word to the reflection."""

    target: str  # service/method, "list" or "describe NAME"
    messages: tuple[Any, ...]


def examples(text: str) -> list[Example]:
    """The grpcurl commands of indented blocks, which may go over several lines."""
    commands, lines = [], []
    for line in text.splitlines():
        if line.startswith("    "):
            lines.append(line.removesuffix("\\"))
        else:
            commands += _commands(lines)
            lines = []
    return [_example(words) for words in commands + _commands(lines) if words[0] == "grpcurl"]


def _commands(lines: list[str]) -> list[list[str]]:
    starts = [at for at, line in enumerate(lines) if re.match(r"    \S", line)] + [len(lines)]
    return [shlex.split("\n".join(lines[at:to])) for at, to in pairwise(starts)]


def _example(words: list[str]) -> Example:
    words = words[1:]
    assert words.pop(0) == "-plaintext"
    data = ""
    if words[0] == "-d":
        data, words = words[1], words[2:]
    assert words.pop(0) == ADDRESS
    decoder, messages = json.JSONDecoder(), []
    data = data.strip()
    while data:
        message, end = decoder.raw_decode(data)
        messages.append(message)
        data = data[end:].lstrip()
    return Example(" ".join(words), tuple(messages))


EXAMPLES = examples(TEXT)
CALLS = [example for example in EXAMPLES if "/" in example.target]


class Reflected:
    """The services of an engine as it tells of them itself."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        self._pool = DescriptorPool()
        self._files: set[str] = set()
        listed = self._ask(list_services="").list_services_response.service
        self.services = sorted(service.name for service in listed)

    def methods(self, service: str) -> dict[str, MethodDescriptor]:
        self._load(service)
        return dict(self._pool.FindServiceByName(service).methods_by_name)

    def method(self, path: str) -> MethodDescriptor:
        service, _, method = path.partition("/")
        return self.methods(service)[method]

    def has(self, symbol: str) -> bool:
        answer = self._ask(file_containing_symbol=symbol)
        return bool(answer.file_descriptor_response.file_descriptor_proto)

    def _load(self, symbol: str) -> None:
        for data in self._ask(file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto:
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            if file.name not in self._files:
                self._files.add(file.name)
                self._pool.Add(file)

    def _ask(self, **question: str) -> Any:
        (answer,) = self._stub.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(**question)])
        )
        return answer


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
        grpc.insecure_channel(server.address) as connected,
    ):
        yield connected


@pytest.fixture(scope="module")
def reflected(channel: grpc.Channel) -> Reflected:
    return Reflected(channel)


def make(channel: grpc.Channel, method: MethodDescriptor, example: Example) -> list[dict[str, Any]]:
    """Make the call; its answers in JSON. Raises json_format.ParseError or grpc.RpcError."""
    kind, answer_kind = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    requests = [json_format.ParseDict(message, kind()).SerializeToString() for message in example.messages]
    path = "/" + example.target
    if method.client_streaming:
        answers = list(channel.stream_stream(path, None, None)(iter(requests)))
    else:
        (request,) = requests or [b""]
        answers = [channel.unary_unary(path, None, None)(request)]
    return [json_format.MessageToDict(answer_kind.FromString(answer)) for answer in answers]


def test_every_call_has_an_example_that_works(channel: grpc.Channel, reflected: Reflected) -> None:
    session = ""
    made: dict[str, list[dict[str, Any]]] = {}
    for example in CALLS:
        text = json.dumps(example.messages).replace('"SESSION"', json.dumps(session))
        whole = Example(example.target, tuple(json.loads(text)))
        answers = make(channel, reflected.method(example.target), whole)
        session = answers[0].get("sessionId", session)
        made.setdefault(example.target, answers)
    ours = {f"{service}/{name}" for service in SERVICES for name in reflected.methods(service)}
    assert made.keys() == ours | {"grpc.health.v1.Health/Check"}
    # What the page says of them.
    engine = SERVICES[0]
    assert made[f"{engine}/StepBatch"][0]["finalPlayers"] == "AQ=="
    batches = [batch for answer in made[f"{engine}/StepStream"] for batch in answer["batches"]]
    assert [batch["sequence"] for batch in batches] == ["1", "2"]
    assert made[f"{engine}/Preflight"][0]["accepted"] is True
    assert made["grpc.health.v1.Health/Check"] == [{"status": "SERVING"}]


def test_what_is_listed_and_described_is_there(reflected: Reflected) -> None:
    others = [example.target for example in EXAMPLES if "/" not in example.target]
    assert "list" in others
    assert {*SERVICES, "grpc.health.v1.Health"} <= set(reflected.services)
    described = [target.split()[1].lstrip(".") for target in others if target.startswith("describe")]
    assert described
    assert [name for name in described if not reflected.has(name)] == []


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (
            """grpcurl -plaintext -d '{"env": "tictactoe"}' ADDRESS S/GetCapabilities""",
            json_format.ParseError,
        ),
        ("""grpcurl -plaintext -d '{"env_id": "chess"}' ADDRESS S/GetCapabilities""", grpc.RpcError),
        ("""grpcurl -plaintext ADDRESS S/Nothing""", KeyError),
    ],
)
def test_an_example_that_does_not_work_is_found(
    channel: grpc.Channel, reflected: Reflected, command: str, error: type[Exception]
) -> None:
    text = "    " + command.replace("ADDRESS", ADDRESS).replace("S/", f"{SERVICES[0]}/")
    (example,) = examples(text)
    with pytest.raises(error):
        make(channel, reflected.method(example.target), example)


def test_the_limits_are_those_of_the_code() -> None:
    said = {row[0]: int(row[1].replace(",", "")) for row in rows(section(TEXT, "Limits"))}
    assert said == {
        "rows a batch": limits.MAX_COUNT,
        "bytes a message, either way": limits.MESSAGE_BYTES,
        "bytes of a hint": limits.HINT_BYTES,
        "characters of a name": limits.MAX_NAME,
        "open streams": limits.MAX_STREAMS,
        "requests that wait for a thread": limits.MAX_WAITING_CALLS,
        "pictures drawn at once": limits.MAX_PICTURES,
        "fields of one batch, known or not": limits.MAX_FIELDS,
        "fields of one message of a stream": limits.MAX_STREAM_FIELDS,
        "rows worked on at once": limits.MAX_ROWS_IN_FLIGHT,
        "open sessions": limits.MAX_SESSIONS,
        "bytes of all sessions": limits.SESSION_BYTES,
        "milliseconds of a session's idle timeout, least": limits.MIN_IDLE_TIMEOUT_MS,
        "milliseconds of a session's idle timeout, most": limits.MAX_IDLE_TIMEOUT_MS,
    }


def test_the_threads_that_half_open_calls_hold_are_those_of_the_code() -> None:
    said = f"of the {CONTROL_THREADS} for ListGames, Preflight, Admin and health, or of the {limits.CALL_THREADS} for"
    assert said in " ".join(section(TEXT, "Limits").split())


def test_the_statuses_are_those_of_the_proto() -> None:
    proto = (ROOT / "proto" / "cartridge" / "engine" / "v1" / "engine.proto").read_text()
    of_proto = re.findall(r"^//   ([A-Z_]+) ", proto, re.MULTILINE)
    assert [row[0] for row in rows(section(TEXT, "Refusals"))] == of_proto
