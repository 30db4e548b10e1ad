"""What the README and docs/ say of the tree is so: the file map, the commands, the links; and no machine's traces."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from cartridge import command
from markdown import anchors, blocks, documents, links, section, spans
from source_tree import ROOT, files, product_modules

README = (ROOT / "README.md").read_text()
FILE_MAP = section(README, "File map")
ENTRY = re.compile(r"^- `([^`]+)` (.+)$", re.MULTILINE)
FOLDER = re.compile(r"^### `([^`]+)/`: .+$", re.MULTILINE)
RECIPE = re.compile(r"^([a-z][a-z-]*)(?: [^:=\n]*)?:(?!=)[^\n]*\n((?:[ \t]+[^\n]*\n)*)", re.MULTILINE)
RECIPES = dict(RECIPE.findall((ROOT / "Justfile").read_text()))
COMMAND = re.compile(r"(?:\./)?just(?: |$)|cartridge [a-z]|python (?:-m )?[a-z]")
# Where files come from, and traces of the machine that somebody works on. A port on the loopback address is neither.
HOSTS = ("pypi.org", "pythonhosted.org", "golang.org", "maven.org", "maven.apache.org", "docker.io", "ghcr.io")
TRACES = re.compile(r"/work/|/root/|/tmp/lab|/home/(?!cartridge/)[a-z]|https?://(?!127\.0\.0\.1|\{LOOPBACK\})")


def test_the_file_map_has_every_module_once() -> None:
    listed = Counter(path for path, _ in ENTRY.findall(FILE_MAP) if path.endswith(".py"))
    listed.update(f"{folder}/__init__.py" for folder in FOLDER.findall(FILE_MAP) if has_init(folder))
    assert [path for path, count in listed.items() if count > 1] == []
    assert sorted(listed) == sorted(str(path) for path in product_modules() if path.name != "__init__.py") + (
        sorted(str(path) for path in product_modules() if path.name == "__init__.py")
    ) or diff(set(listed), {str(path) for path in product_modules()}) == (set(), set())


def has_init(folder: str) -> bool:
    return (ROOT / folder / "__init__.py").exists()
