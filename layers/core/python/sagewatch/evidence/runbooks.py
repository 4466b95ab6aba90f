"""The runbook of a finding's kind, on the page itself: at night no other page need open.

``runbooks.json`` is made of docs/runbooks (``python -m sagewatch.evidence.runbooks docs/runbooks``); a test holds
the two equal. Of Markdown only what those files use is read.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from sagewatch.evidence.markup import Child, Markup, tag

_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\([^)]+\)")
_ITEM = re.compile(r"(?:-|\d+\.) (.*)")


@functools.cache
def load_runbooks() -> dict[str, str]:
    """Markdown by kind."""
    file = resources.files("sagewatch.evidence").joinpath("runbooks.json")
    return dict(json.loads(file.read_text(encoding="utf-8")))


def collect_runbooks(folder: Path) -> str:
    """What ``runbooks.json`` must hold, given the folder of the runbooks."""
    found = {
        path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.md") if path.stem != "README"
    }
    return json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def build_runbook(kind: str) -> list[Markup] | None:
    """The runbook of a kind, without its title; None where there is none."""
    text = load_runbooks().get(kind)
    return None if text is None else list(_build_blocks(text))


def _build_blocks(text: str) -> Iterator[Markup]:
    for block in re.split(r"\n{2,}", text.strip()):
        lines = block.splitlines()
        if lines[0].startswith("# "):
            continue
        if lines[0].startswith("## "):
            yield tag("h3", lines[0].removeprefix("## "))
            lines = lines[1:]
        if not lines:
            continue
        if lines[0].startswith("    "):
            yield tag("pre", "\n".join(line.removeprefix("    ") for line in lines))
        elif _ITEM.match(lines[0].lstrip()):
            ordered = lines[0].lstrip()[0].isdigit()
            yield tag("ol" if ordered else "ul", map(_build_item, _join_items(lines)))
        else:
            yield tag("p", _build_inline(" ".join(line.strip() for line in lines)))


def _join_items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        found = _ITEM.match(line.lstrip())
        if found:
            items.append(found[1])
        elif items:
            items[-1] += f" {line.strip()}"
    return items


def _build_item(text: str) -> Markup:
    return tag("li", _build_inline(text))


def _build_inline(text: str) -> Iterator[Child]:
    at = 0
    for found in _INLINE.finditer(text):
        yield text[at : found.start()]
        code, strong, link = found.groups()
        yield tag("code", code) if code else tag("strong", strong) if strong else link
        at = found.end()
    yield text[at:]


if __name__ == "__main__":
    target = Path(__file__).parent / "runbooks.json"
    target.write_text(collect_runbooks(Path(sys.argv[1])), encoding="utf-8")
