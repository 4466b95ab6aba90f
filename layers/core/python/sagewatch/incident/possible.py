"""Whether matchers of monitors.yml can hold of anything at all: a route that never matches is told before a night without alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import msgspec

from sagewatch.finding import Severity
from sagewatch.incident.describe import KINDS
from sagewatch.incident.matching import Matcher, parse_matcher

_SEVERITIES = tuple(severity.value for severity in Severity)


class Known(msgspec.Struct, frozen=True):
    """The values that labels can have, where they are few; a label that is not listed may have any.

    Attributes
    ----------
    endpoints
        Those that monitors.yml watches; empty says nothing about them.
    kinds
        Those that a misspelt one is held against; empty where none is misspelt: an incident's own.
    """

    endpoints: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS

    def list_values(self, label: str) -> tuple[str, ...]:
        """All values of a label; empty where it may have any."""
        return {"severity": _SEVERITIES, "kind": self.kinds, "endpoint": self.endpoints}.get(label, ())


def find_impossible(texts: Sequence[str], known: Known) -> str:
    """Why these matchers, which must all hold, never do; empty where they may.

    Examples
    --------
    >>> find_impossible(["severity=high"], Known())
    'severity=high names no severity; there are info, warning, critical'
    >>> find_impossible(["subject=14", "subject=38"], Known())
    'subject=14 and subject=38 never hold together'
    >>> find_impossible(["severity!=info", "endpoint=~churn-.*"], Known())
    ''
    >>> find_impossible(["severity!=high"], Known()), find_impossible(["endpoint!~test-.*"], Known(("signs",)))
    ('severity!=high names no severity; there are info, warning, critical', '')
    >>> find_impossible(["kind=endpoint-failing"], Known()), find_impossible(["kind=~acme-.*"], Known())
    ('', '')
    """
    by_label: dict[str, list[tuple[str, Matcher]]] = {}
    for text in texts:
        matcher = parse_matcher(text)
        values = known.list_values(matcher.label)
        if values and not _is_harmless(matcher) and not any(matcher.finds(value) for value in values):
            return f"{text} names no {matcher.label}; there are {', '.join(values)}"
        by_label.setdefault(matcher.label, []).append((text, matcher))
    for label, matchers in by_label.items():
        named = tuple(one.value for _, one in matchers if not (one.negated or one.pattern))
        values = (*known.list_values(label), *named)
        if any(one.pattern and not any(one.finds(value) for value in values) for _, one in matchers):
            continue  # it is about what is not known here
        if values and not any(all(one.holds({label: value}) for _, one in matchers) for value in values):
            return f"{' and '.join(text for text, _ in matchers)} never hold together"
    return ""


def find_foreign_kinds(texts: Iterable[str]) -> list[str]:
    """Those of the matchers that name a kind of which nothing of Sagewatch raises findings.

    Examples
    --------
    >>> find_foreign_kinds(["kind=endpoint-failing", "kind=no-data", "kind!~acme-.*", "severity=info"])
    ['kind=endpoint-failing', 'kind!~acme-.*']
    """
    matchers = [(text, parse_matcher(text)) for text in texts]
    return [
        text for text, one in matchers if one.label == "kind" and not any(one.finds(kind) for kind in KINDS)
    ]


def _is_harmless(matcher: Matcher) -> bool:
    """Whether it may name what is not there.

    Whoever leaves out ``test-.*`` means the endpoints to come as well, and a kind that is near none of ours may be of
    findings that somebody else puts on the bus.
    """
    if matcher.label == "kind":
        return not get_close_matches(matcher.value, KINDS)
    return matcher.negated and (matcher.pattern or matcher.label == "endpoint")
