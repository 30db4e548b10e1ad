"""Every record is its Avro schema in Python: the same fields, in the same order, of the same types."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from typing import Any

import pytest

from streams.records import RECORDS
from streams.schemas import AVRO_FOLDER

SCHEMAS: dict[str, dict[str, Any]] = {
    schema["name"]: schema for schema in (json.loads(path.read_text()) for path in AVRO_FOLDER.glob("*.avsc"))
}
SCALARS = {
    "string": "str",
    "int": "int",
    "long": "int",
    "bytes": "bytes",
    "float": "float",
    "double": "float",
    "boolean": "bool",
}


def python_type(avro: Any) -> str:
    if isinstance(avro, str):
        return SCALARS[avro]
    match avro["type"]:
        case "enum":
            return "str"
        case "array":
            return f"list[{SCALARS[avro['items']]}]"
        case "map":
            return f"dict[str, {SCALARS[avro['values']]}]"
    raise AssertionError(f"no Python type is agreed for {avro}")


def test_there_is_one_class_for_each_schema() -> None:
    assert sorted(RECORDS) == sorted(SCHEMAS)


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_record_has_its_schemas_fields_in_order(name: str) -> None:
    expected = [(field["name"], python_type(field["type"])) for field in SCHEMAS[name]["fields"]]
    assert [(field.name, field.type) for field in fields(RECORDS[name])] == expected


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_record_has_its_schemas_defaults(name: str) -> None:
    defaults = {}
    for field in fields(RECORDS[name]):
        if field.default_factory is not MISSING:
            defaults[field.name] = field.default_factory()
        elif field.default is not MISSING:
            defaults[field.name] = field.default
    written = {field["name"]: field["default"] for field in SCHEMAS[name]["fields"] if "default" in field}
    assert defaults == written


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_field_is_explained(name: str) -> None:
    unexplained = [field["name"] for field in SCHEMAS[name]["fields"] if not field.get("doc", "").strip()]
    assert unexplained == []
    assert SCHEMAS[name]["doc"].strip()


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_file_is_named_after_its_record(name: str) -> None:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    assert json.loads((AVRO_FOLDER / f"{snake}.avsc").read_text())["name"] == name
