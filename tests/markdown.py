"""The documents as data: their commands, links, tables and headings.

In: the text of a Markdown file. Out: what stands in it. Invariant: nothing is run and no link is followed.
"""

from __future__ import annotations

import re
from pathlib import Path

from source_tree import ROOT, files

_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def documents(root: Path = ROOT) -> list[Path]:
    """Every Markdown file, relative to `root`."""
    return [path for path in files(root) if path.suffix == ".md"]


def blocks(text: str) -> list[str]:
    """The lines of indented blocks, without their indentation and with continued lines joined."""
    lines = re.sub(r"\\\n +", "", text).splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and line.strip()]


def spans(text: str) -> list[str]:
    """What stands between single backticks outside of indented blocks."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    return _SPAN.findall(prose)


def links(text: str) -> list[str]:
    """The targets of links."""
    return _LINK.findall(text)


def anchors(text: str) -> set[str]:
    """The anchors that headings make."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


def section(text: str, heading: str) -> str:
    """What stands under a heading of two hashes, to the next one. Raises KeyError."""
    parts = re.split(r"^## +(.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))[heading]


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, less its heading and the line below that."""
    found: list[list[str]] = []
    in_table = False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if not line.startswith("|"):
            in_table = False
        elif set("".join(cells)) <= set("-: "):
            in_table = True
        elif in_table:
            found.append(cells)
    return found
