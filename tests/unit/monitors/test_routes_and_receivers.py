"""The part of monitors.yml that says who hears, when, and when nobody does: each mistake at its line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.errors import ConfigurationError
from sagewatch.incident.routing import Escalation
from sagewatch.monitors import dump_monitors, load_monitors, parse_monitors

WHOLE = """\
version: 1
endpoints: {signs: {}}
routes:
  receiver: team
  group_by: [endpoint, family]
  group_wait: 30s
  group_interval: 1m
  repeat_interval: 2h
  remind_interval: 12h
  escalate:
    - {after: 15m, receiver: boss, match: ["severity=~critical|warning"]}
  routes:
    - {match: ["endpoint!~test-.*"], group_wait: 0s}
receivers:
  team: {mail: {}}
  boss: {mail: {}}
inhibit:
  - {when: ["kind=endpoint-failing"], mutes: ["kind=no-data"], equal: [endpoint]}
windows:
  release: {mutes: ["severity!=critical"], every: "Sun 02:00-04:00 Europe/Berlin"}
"""


def test_everything_is_read_and_survives_compiling():
    monitors = parse_monitors(WHOLE, "monitors.yml")
    route = monitors.route
    assert route.group_by == ("endpoint", "family")
    assert route.repeat_interval == timedelta(hours=2)
    assert route.routes[0].group_wait == timedelta(0)
    assert route.escalate == (
        Escalation(after=timedelta(minutes=15), receiver="boss", match=("severity=~critical|warning",)),
    )
    assert monitors.inhibitions[0].equal == ("endpoint",)
    assert monitors.windows[0].every.zone == "Europe/Berlin"
    assert load_monitors(dump_monitors(monitors), "monitors.json") == monitors


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("family]", "colour]", 5, "routes.group_by"),
        ("group_wait: 30s", "group_wait: half a minute", 6, "routes.group_wait"),
        ("group_wait: 30s", "group_wiat: 30s", 6, "routes.group_wiat"),
        ("repeat_interval: 2h", "repeat_interval: 0s", 8, "routes.repeat_interval"),
        ("after: 15m, ", "", 11, "routes.escalate[0].after"),
        ("receiver: boss, match", "receiver: bos, match", 11, "routes.escalate[0].receiver"),
        ("critical|warning", "(critical", 11, "routes.escalate[0].match"),
        ("endpoint!~test", "endpiont!~test", 13, "routes.routes[0].match"),
        ('when: ["kind=endpoint-failing"], ', "", 18, "inhibit[0].when"),
        ("equal: [endpoint]", "equal: [incident]", 18, "inhibit[0].equal"),
        ("Sun 02:00", "Sunday 02:00", 20, "windows.release.every"),
        ("Europe/Berlin", "Europe/Berlinn", 20, "windows.release.every"),
        (', every: "Sun 02:00-04:00 Europe/Berlin"', "", 20, "windows.release.every"),
        ('mutes: ["severity!=critical"]', "mute: []", 20, "windows.release.mute"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_key(old, new, line, key):
    assert old in WHOLE
    with pytest.raises(ConfigurationError) as refused:
        parse_monitors(WHOLE.replace(old, new, 1), "monitors.yml")
    assert (refused.value.line, refused.value.key) == (line, key)


SHADOWED = """\
version: 1
endpoints: {signs: {}}
receivers: {team: {mail: {}}, pager: {mail: {}}, boss: {mail: {}}}
routes:
  receiver: team
  escalate:
    - {after: 30m, receiver: boss}
  routes:
    - {match: ["severity=critical"], receiver: pager}
    - {match: ["severity=warning"], receiver: team}
"""


TWICE = """\
- {after: 30m, receiver: boss, match: ["endpoint=signs"]}
    - {after: 1h, receiver: boss, match: ["endpoint=signs", "severity=info"]}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "reason"),
    [
        ('severity=critical"], r', 'severity!=info"], r', 10, "routes.routes[1]", "is never reached"),
        ('severity=critical"], r', 'severity=~warning"], r', 10, "routes.routes[1]", "is never reached"),
        ('severity=critical"], r', 'severity=~warning|critical"], r', 10, "routes.routes[1]", "is never reached"),
        ('severity=warning"], r', 'severity=~crit.*", "kind=bias"], r', 10, "routes.routes[1]", "is never reached"),
        ('severity=warning"], r', 'severity=critical", "subject=~V.*"], r', 10, "routes.routes[1]", "is never reached"),
        ("receiver: boss}", 'receiver: pager, match: ["severity=critical"]}', 7, "", ""),
        ("receiver: pager}", "receiver: boss}", 7, "", ""),
        ("- {after: 30m, receiver: boss}", TWICE, 8, "routes.escalate[1]", "never fires"),
    ],
)  # fmt: skip
def test_a_route_that_nothing_reaches_and_an_escalation_that_never_fires_are_named(
    old, new, line, key, reason
):
    """The pager would never ring, and the file would be called right."""
    assert SHADOWED.count(old) == 1
    text = SHADOWED.replace(old, new)
    if not key:
        parse_monitors(text, "monitors.yml")  # it fires, or would without the children: check asks about that
        return
    with pytest.raises(ConfigurationError) as caught:
        parse_monitors(text, "monitors.yml")
    assert (caught.value.line, caught.value.key) == (line, key)
    assert reason in caught.value.reason
    parse_monitors(text, "monitors.yml", played=True)  # by then it was in force: what it recorded is played


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("endpoint!~test-.*", "severity=critical"),
        ("kind=~acme-.*", "kind=~acme-.*|no-data"),
        ("subject=14", "subject!=38"),
        ("kind!=rejected", "kind=rejected"),
        ("family=V", "subject=V17"),
    ],
)
def test_a_route_that_something_may_reach_one_day_is_taken(first, second):
    old, late = "severity=critical", "severity=warning"
    parse_monitors(SHADOWED.replace(old, first).replace(late, second), "monitors.yml")


def test_as_many_matchers_as_nobody_counts_out_are_taken_as_they_are():
    many = "\n".join(
        f'    - {{match: ["subject=~a{n}.*", "family=~b{n}.*"], receiver: pager}}' for n in range(20)
    )
    parse_monitors(SHADOWED + many, "monitors.yml")
