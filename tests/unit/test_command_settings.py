"""Settings: the environment over the running stack over defaults; a bad one is named with its value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cartridge.errors import UsageError
from cartridge.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def write_stack(home: Path, settings: Any, credentials: Any = None) -> None:
    home.mkdir(parents=True)
    (home / "stack.json").write_text(json.dumps({"settings": settings}))
    if credentials is not None:
        (home / "credentials.json").write_text(json.dumps(credentials))


def load(home: Path, **environment: str) -> Settings:
    return Settings.load({"CARTRIDGE_HOME": str(home), **environment})


def test_defaults_hold_without_anything(home: Path) -> None:
    assert load(home) == Settings(home=home)


def test_the_home_is_absolute_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Settings.load({}).home == tmp_path / ".cartridge"
    assert Settings.load({"CARTRIDGE_HOME": "elsewhere"}).home == tmp_path / "elsewhere"


def test_the_running_stack_overrides_defaults(home: Path) -> None:
    write_stack(
        home,
        {"kafka": "127.0.0.1:19092", "s3_endpoint": "127.0.0.1:19000", "engine": "127.0.0.1:15005"},
        {"s3_access_key": "key", "s3_secret_key": "secret"},
    )
    assert load(home) == Settings(
        home=home,
        kafka="127.0.0.1:19092",
        s3_endpoint="127.0.0.1:19000",
        engine="127.0.0.1:15005",
        s3_access_key="key",
        s3_secret_key="secret",
    )


def test_the_environment_overrides_the_running_stack(home: Path) -> None:
    write_stack(home, {"kafka": "127.0.0.1:19092", "bucket": "theirs"}, {"s3_access_key": "key"})
    loaded = load(
        home, CARTRIDGE_KAFKA="10.0.0.1:9", CARTRIDGE_S3_ACCESS_KEY="mine", CARTRIDGE_METRICS_PORT="9123"
    )
    assert (loaded.kafka, loaded.bucket, loaded.s3_access_key, loaded.metrics_port) == (
        "10.0.0.1:9",
        "theirs",
        "mine",
        9123,
    )


def test_a_process_keeps_its_own_port_and_bind_address(home: Path) -> None:
    write_stack(home, {"metrics_port": 9101, "host": "0.0.0.0", "home": "/elsewhere", "unknown": 1})
    assert load(home) == Settings(home=home)


def test_the_process_environment_is_read_by_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARTRIDGE_HOME", str(home))
    monkeypatch.setenv("CARTRIDGE_BUCKET", "from-here")
    assert Settings.load().bucket == "from-here"


def test_a_secret_is_not_shown(home: Path) -> None:
    loaded = load(home, CARTRIDGE_S3_ACCESS_KEY="AKIA123", CARTRIDGE_S3_SECRET_KEY="hush")
    assert "AKIA123" not in repr(loaded)
    assert "hush" not in repr(loaded)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CARTRIDGE_METRICS_PORT", "eighty"),
        ("CARTRIDGE_METRICS_PORT", ""),
        ("CARTRIDGE_METRICS_PORT", "-1"),
        ("CARTRIDGE_METRICS_PORT", "65536"),
        ("CARTRIDGE_LOG_LEVEL", "loud"),
        ("CARTRIDGE_KAFKA", "localhost"),
        ("CARTRIDGE_KAFKA", ""),
        ("CARTRIDGE_KAFKA", "a:1,b"),
        ("CARTRIDGE_KAFKA", "a:1,,b:2"),
        ("CARTRIDGE_S3_ENDPOINT", "host:port"),
        ("CARTRIDGE_S3_ENDPOINT", "host:0"),
        ("CARTRIDGE_ENGINE", ":50051"),
        ("CARTRIDGE_ENGINE", "host:65536"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, value: str, home: Path) -> None:
    with pytest.raises(UsageError, match=f"^{variable} is ") as error:
        load(home, **{variable: value})
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


@given(value=st.text())
@example("host:²")
@example("host:٣")
def test_any_address_is_taken_or_refused_by_name(value: str) -> None:
    refusal, taken = "", ""
    try:
        taken = Settings.load({"CARTRIDGE_HOME": "/nowhere", "CARTRIDGE_KAFKA": value}).kafka
    except UsageError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("CARTRIDGE_KAFKA is ")
    else:
        assert all(0 < int(address.rpartition(":")[2]) < 65536 for address in taken.split(","))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"settings": []}', '{"settings": 3}', '{"settings": {"kafka": 9092}}', "\0"],
)
def test_a_stack_file_that_cannot_be_read_is_one_clear_line(text: str, home: Path) -> None:
    home.mkdir()
    (home / "stack.json").write_text(text)
    with pytest.raises(UsageError) as error:
        load(home)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_credentials_that_cannot_be_read_are_one_clear_line(text: str, home: Path) -> None:
    write_stack(home, {})
    (home / "credentials.json").write_text(text)
    with pytest.raises(UsageError, match=r"credentials\.json"):
        load(home)
