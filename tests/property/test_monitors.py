"""Whatever stands in monitors.yml, it is right or refused by file, line and key; nothing else comes of it."""

from __future__ import annotations

import copy
import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sagewatch.errors import ConfigurationError
from sagewatch.monitors import dump_monitors, load_monitors, parse_monitors

FULL = r"""
version: 1
endpoints:
  signs:
    owner: perception
    sensitive: [customer_id]
    capture: {prediction: "[*][0]", confidence: "[*][1]"}
    detectors:
      class-concentration: {one_false_alarm_in: 1000000, baseline: {learn_from: 1000}, clear_after: 50}
      fixed-share: {threshold: 0.5, per: 1h, open_after: 2 of 3, clear_after: 2, clear_below: 0.4, staged: true}
      confidence: {one_false_alarm_in: 1000}
      rejected: {one_false_alarm_in: 1000}
      no-data: {after: auto}
    diagnosis: {mode: swap, observe: {requests: 40, at_most: 20m}, cooldown: 6h, per_day: 2, swap_within: 20m,
      explain_within: 1h, region: [0.1, 0.1, 0.9, 0.9], environment: [A], rollback_alarms: [x], canary: true,
      clean_inputs: false}
    quality: {baseline: "s3://bucket/b", every: 1h, scheduler: eventbridge, mode: exact, open_after: 1 of 2}
routes:
  receiver: a
  group_by: [endpoint, kind]
  group_wait: 30s
  escalate: [{after: 30m, receiver: c, match: ["severity=critical"]}]
  routes:
    - {match: ["severity=critical"], receiver: b, continue: true, group_interval: 30s}
    - {match: ["endpoint=~si.*", "kind!=rejected"], receiver: c, repeat_interval: 1d, remind_interval: 2d}
receivers:
  a: {mail: {topic: alerts}, html-mail: {sender: a@b.example, to: [c@d.example]}, amazon-q: {topic: chat}}
  b: {slack: {channel: "#x", token: "secret:sagewatch/slack"}, slack-webhook: {url: "ssm:/sagewatch/x"}}
  c:
    pagerduty: {key: "secret:sagewatch/pd", url: "https://x.example/"}
    webhook: {url: "https://x.example/", secret: "secret:sagewatch/w"}
slack: {signing: "secret:sagewatch/s", users: {U024BE7LH: operator}, others: viewer}
inhibit: [{when: ["kind=rejected"], mutes: ["kind=no-data"], equal: [endpoint]}]
windows: {release: {mutes: ["severity!=critical"], every: "Sun 02:00-04:00 Europe/Berlin"}}
flapping: {hold: 5m, budget: 6, per: 1d, digest: 6h}
"""
PLAIN = yaml.load(FULL, Loader=yaml.BaseLoader)
WRONG = [[], ["true"], {"a": "b"}, None]
ODD = [
    "",
    "~",
    "-1",
    "nan",
    "inf",
    "1e400",
    "²",
    "٣",
    "_",
    "0s",
    "\ud83d\ude00",
    "\ud83d",
    "a: b",
    "*x",
    "true",
]


def list_places(node, path=()):
    yield path
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, inner in below:
        yield from list_places(inner, (*path, key))


PLACES = list(list_places(PLAIN))


def put(path, value):
    """The whole file as JSON, which is YAML, with this value in this place."""
    if not path:
        return json.dumps(value)
    whole = copy.deepcopy(PLAIN)
    place = whole
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(whole)


def judge(text):
    """Either it can be compiled and read back, or it is refused with its place."""
    try:
        monitors = parse_monitors(text, "monitors.yml")
    except ConfigurationError as error:
        str(error).encode()  # a terminal can print it
        return error
    assert load_monitors(dump_monitors(monitors), "x") == monitors
    return None


def test_the_whole_file_is_right():
    assert judge(FULL) is None


@pytest.mark.parametrize("wrong", WRONG, ids=lambda one: ascii(one)[:20])
def test_every_type_under_every_key_is_taken_or_refused(wrong):
    for path in PLACES:
        error = judge(put(path, wrong))
        assert error is None or error.line == 1


@given(
    st.sampled_from(PLACES),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.sampled_from(ODD) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
)
@settings(max_examples=25, deadline=None)
def test_anything_under_any_key_is_taken_or_refused(path, value):
    judge(put(path, value))


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("continue: true", "continue: [true]", "routes.routes[0].continue", "true or false"),
        ("group_wait: 30s", "group_wait: [30s]", "routes.group_wait", "duration"),
        ("hold: 5m", "hold: []", "flapping.hold", "duration"),
        ("mode: swap", "mode: {}", "endpoints.signs.diagnosis.mode", "swap, replay or off"),
        ("staged: true", "staged: []", "endpoints.signs.detectors.fixed-share.staged", "true or false"),
        ("canary: true", "canary: []", "endpoints.signs.diagnosis.canary", "true or false"),
        ('confidence: "[*][1]"', "confidence: [a]", "endpoints.signs.capture.confidence", "must be a text"),
        ("group_by: [endpoint, kind]", "group_by: {endpoint: x}", "routes.group_by", "list of texts"),
        ("group_by: [endpoint, kind]", "group_by: &a [*a]", "routes.group_by", "in itself"),
        ("equal: [endpoint]", "equal: {endpoint: x}", "inhibit[0].equal", "list of texts"),
        ("group_by: [endpoint, kind]", "group_by: [{[a]: b}]", "routes.group_by", "no text"),
        ("owner: perception", r'owner: "\ud83d\ude00"', "endpoints.signs.owner", "half a character"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_line_and_key(old, new, key, words):
    assert old in FULL
    text = FULL.replace(old, new, 1)
    error = judge(text)
    assert error is not None
    assert error.key.startswith(key)
    assert words in error.reason
    assert error.line == text[: text.index(new)].count("\n") + 1


def test_routes_that_hold_themselves_are_refused():
    error = judge(
        "version: 1\nendpoints: {signs: {}}\nroutes: &a {receiver: a, routes: [*a]}\nreceivers: {a: {mail: {}}}\n"
    )
    assert error is not None
    assert error.line == 3


def test_what_is_nested_thousands_deep_is_refused():
    assert judge("[" * 5_000) is not None
