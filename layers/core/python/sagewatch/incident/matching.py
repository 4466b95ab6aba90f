"""Matchers over an incident's labels: ``=``, ``!=``, ``=~`` and ``!~``, as in Alertmanager.

Source: Prometheus Alertmanager, ``pkg/labels/matcher.go``: a regular expression is anchored at both ends, an
absent label is empty.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from sagewatch.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sagewatch.finding import Finding
    from sagewatch.incident.model import Incident

LABELS = ("account", "region", "endpoint", "variant", "kind", "subject", "family", "severity")
"""What a matcher may ask about."""

_OPERATOR = re.compile(r"!=|=~|!~|=")
_FAMILY_ENDS = re.compile(r"[\d._\-/:\[ ]")


class Matcher(msgspec.Struct, frozen=True):
    """A label, and the value or pattern that it must or must not have."""

    label: str
    value: str
    negated: bool
    pattern: bool = False

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels satisfy it; a label that is absent is empty."""
        return self.finds(labels.get(self.label, "")) is not self.negated

    def finds(self, value: str) -> bool:
        """Whether the value is what it names, be that wanted or not."""
        return re.fullmatch(self.value, value) is not None if self.pattern else value == self.value


@cache
def parse_matcher(text: str) -> Matcher:
    """Read ``label=value``, ``!=``, ``=~`` or ``!~``; the value may stand in double quotes.

    Raises
    ------
    ConfigurationError
        No operator, a label that nothing has, or a pattern that is none.

    Examples
    --------
    >>> parse_matcher('severity!="info"')
    Matcher(label='severity', value='info', negated=True, pattern=False)
    >>> parse_matcher("endpoint=~prod-.*").holds({"endpoint": "prod-signs"})
    True
    """
    operator = _OPERATOR.search(text)
    if operator is None:
        raise ConfigurationError("a matcher needs =, !=, =~ or !~", where="matcher", key=text)
    label, value = text[: operator.start()].strip(), text[operator.end() :].strip()
    if label not in LABELS:
        raise ConfigurationError(f"no such label; there are {', '.join(LABELS)}", where="matcher", key=text)
    quote = '"'
    if len(value) > 1 and value.startswith(quote) and value.endswith(quote):
        value = value[1:-1]
    pattern = operator[0].endswith("~")
    if pattern:
        try:
            re.compile(value)
        except re.error as error:
            raise ConfigurationError(
                f"is no regular expression: {error}", where="matcher", key=text
            ) from None
    return Matcher(label=label, value=value, negated=operator[0].startswith("!"), pattern=pattern)


def all_hold(matchers: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Whether the labels satisfy every matcher; no matcher asks for nothing."""
    return all(parse_matcher(text).holds(labels) for text in matchers)


def build_labels(about: Incident | Finding) -> dict[str, str]:
    """What matchers ask about, for one incident or finding."""
    return {
        "account": about.account,
        "region": about.region,
        "endpoint": about.endpoint,
        "variant": about.variant,
        "kind": about.kind,
        "subject": about.subject,
        "family": build_family(about.subject),
        "severity": about.severity.value,
    }


def build_family(subject: str) -> str:
    """The family of a feature: its name up to the first digit or separator; classes have none.

    Examples
    --------
    >>> build_family("pixel_12_3"), build_family("V17"), build_family("Night Mins"), build_family("14")
    ('pixel', 'V', 'Night', '')
    """
    return _FAMILY_ENDS.split(subject, maxsplit=1)[0]
