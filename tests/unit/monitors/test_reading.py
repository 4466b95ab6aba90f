"""monitors.yml: small files watch well, and mistakes are named by file, line and key."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.errors import ConfigurationError
from sagewatch.monitors import dump_monitors, load_monitors, parse_monitors

WHOLE = """\
version: 1
endpoints:
  traffic-signs:
    owner: perception
    capture: {prediction: "[*][0]", confidence: "[*][1]", classes: signnames.csv}
    detectors:
      class-concentration: {one_false_alarm_in: 500000, baseline: {learn_from: 300}, clear_after: 80}
      fixed-share: {threshold: 0.6, per: 30m, staged: true}
      confidence: {one_false_alarm_in: 2000000}
      rejected: {}
      no-data: {after: 20m}
    diagnosis: {mode: swap, observe: {requests: 25, at_most: 10m}, cooldown: 2h, per_day: 3}
routes:
  receiver: ml-on-call
  routes:
    - {match: ["severity=critical"], receiver: pager, continue: true}
receivers:
  ml-on-call: {slack: {channel: "#ml", token: "secret:sagewatch/slack"}, mail: {topic: alerts}}
  pager: {mail: {}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "signnames.csv").write_text("ClassId,SignName\n14,Stop\n2,Speed limit (50km/h)\n")
    (tmp_path / "counts.json").write_text('{"14": 30, "2": 70}')
    return tmp_path


def parse(text, folder=None):
    return parse_monitors(text, str(folder / "monitors.yml") if folder else "monitors.yml")


def parse_endpoint(body, folder=None):
    return parse(f"version: 1\nendpoints:\n  signs: {body}\n", folder).endpoints["signs"]


def test_an_endpoint_that_is_only_named_is_watched_and_never_touched():
    endpoint = parse_endpoint("{}")
    assert endpoint.detectors.class_concentration is not None
    assert endpoint.detectors.class_concentration.one_false_alarm_in == 1_000_000
    assert endpoint.detectors.rejected is not None
    assert endpoint.diagnosis.mode == "off"
    assert endpoint.capture.spec.prediction == "[*][0]"


def test_every_key_reaches_its_place(folder):
    monitors = parse(WHOLE, folder)
    endpoint = monitors.endpoints["traffic-signs"]
    detectors = endpoint.detectors
    assert endpoint.owner == "perception"
    assert endpoint.capture.classes == {"14": "Stop", "2": "Speed limit (50km/h)"}
    assert detectors.class_concentration.baseline.learn_from == 300
    assert detectors.class_concentration.clear_after == 80
    assert (detectors.fixed_share.threshold, detectors.fixed_share.per) == (0.6, timedelta(minutes=30))
    assert detectors.fixed_share.staged
    assert detectors.no_data.after == timedelta(minutes=20)
    assert (endpoint.diagnosis.mode, endpoint.diagnosis.requests) == ("swap", 25)
    assert (endpoint.diagnosis.at_most, endpoint.diagnosis.cooldown) == (
        timedelta(minutes=10),
        timedelta(hours=2),
    )
    assert endpoint.diagnosis.per_day == 3
    assert monitors.route.receiver == "ml-on-call"
    assert monitors.route.routes[0].continue_
    assert monitors.slack_receivers["ml-on-call"].token == "sagewatch/slack"


def test_the_compiled_form_reads_back_equal_and_is_the_same_bytes_each_time(folder):
    monitors = parse(WHOLE, folder)
    body = dump_monitors(monitors)
    assert load_monitors(body, "monitors.json") == monitors
    assert dump_monitors(load_monitors(body, "monitors.json")) == body


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"version": 1}', b"\xff"])
def test_what_is_no_compiled_form_is_a_configuration_error(body):
    with pytest.raises(ConfigurationError) as caught:
        load_monitors(body, "monitors.json")
    assert caught.value.where == "monitors.json"


def test_a_baseline_comes_from_a_file_beside_monitors_yml(folder):
    endpoint = parse_endpoint("{detectors: {class-concentration: {baseline: {file: counts.json}}}}", folder)
    assert endpoint.detectors.class_concentration.baseline.counts == {"14": 30, "2": 70}


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "hint"),
    [
        ("owner:", "ownr:", 4, "endpoints.traffic-signs.ownr", "did you mean owner?"),
        ("prediction:", "predicton:", 5, "capture.predicton", "did you mean prediction?"),
        (
            "clear_after: 80",
            "clear_afer: 80",
            7,
            "class-concentration.clear_afer",
            "did you mean clear_after?",
        ),
        ("threshold: 0.6", "treshold: 0.6", 8, "fixed-share.treshold", "did you mean threshold?"),
        ("no-data:", "no-date:", 11, "detectors.no-date", "did you mean no-data?"),
        ("requests: 25", "requests: 501", 12, "observe.requests", "must be at most 500, not 501"),
        ("at_most: 10m", "megabyte: 10", 12, "observe.megabyte", "did you mean megabytes?"),
        ("requests: 25", "request: 25", 12, "observe.request", "did you mean requests?"),
        ("match:", "matches:", 16, "routes[0].matches", "did you mean match?"),
        ("channel:", "chanel:", 18, "slack.chanel", "did you mean channel?"),
        ("routes:\n  rec", "rotes:\n  rec", 13, "rotes", "did you mean routes?"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(folder, old, new, line, key, hint):
    with pytest.raises(ConfigurationError) as caught:
        parse(WHOLE.replace(old, new, 1), folder)
    error = caught.value
    assert (error.line, error.reason.endswith(hint)) == (line, True)
    assert error.key.endswith(key)
    assert error.where == str(folder / "monitors.yml")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("per: 30m", "per: 30 minutes", 8),
        ("per: 30m", "per: 1h30m", 8),
        ("per: 30m", "per: 0s", 8),
        ("threshold: 0.6", "threshold: 60%", 8),
        ("threshold: 0.6", "threshold: 1.5", 8),
        ("threshold: 0.6", "threshold: nan", 8),
        ("learn_from: 300", "learn_from: 1e3", 7),
        ("learn_from: 300", "learn_from: 0", 7),
        ("clear_after: 80", "clear_after: -1", 7),
        ("staged: true", "staged: yes", 8),
        ("mode: swap", "mode: always", 12),
        ("mode: swap", "mode: swap, rollback_alarms: [[a]]", 12),
        ("mode: swap", 'mode: swap, environment: ["DB_PASSWORD=hunter2"]', 12),
        ("version: 1", "version: 2", 1),
        ("signnames.csv", "absent.csv", 5),
        ("severity=critical", "severty=critical", 16),
        ('token: "secret:sagewatch/slack"', "token: xoxb-12345", 18),
        ("receiver: pager", "receiver: pagr", 16),
        ("per_day: 3", "per_day: 3, per_day: 4", 12),
        ('prediction: "[*][0]"', 'prediction: "[*"', 5),
        ("one_false_alarm_in: 2000000", "baseline: {file: counts.json}", 9),
        ("traffic-signs", "traffic_signs", 3),
        ("owner: perception", "[a]: perception", 4),
    ],
)
def test_a_wrong_value_is_refused_at_its_line(folder, old, new, line):
    with pytest.raises(ConfigurationError) as caught:
        parse(WHOLE.replace(old, new, 1), folder)
    assert caught.value.line == line


@pytest.mark.parametrize("body", ["{detectors: {class-concentration: {seasons: [day, night]}}}"])
def test_endpoint_keys_that_nothing_acts_on_yet_are_refused(body):
    with pytest.raises(ConfigurationError, match="not supported yet"):
        parse_endpoint(body)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "version: 1\nendpoints: 3\n", "\t", "a: b: c"])
def test_what_is_no_such_yaml_is_a_configuration_error(text):
    with pytest.raises(ConfigurationError):
        parse(text)


def test_answers_without_a_confidence_are_said_so_with_null():
    assert parse_endpoint("{capture: {prediction: 3, confidence: null}}").capture.spec.confidence is None


def test_the_secret_itself_is_never_in_the_message(folder):
    with pytest.raises(ConfigurationError) as caught:
        parse(WHOLE.replace("secret:sagewatch/slack", "xoxb-12345"), folder)
    assert "xoxb" not in str(caught.value)


def test_loading_the_compiled_form_does_not_import_yaml():
    import subprocess
    import sys

    program = "import sys, sagewatch.monitors; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_sensitive_fields_are_a_list_of_names():
    parsed = parse_monitors("version: 1\nendpoints: {signs: {sensitive: [customer_id]}}", "m.yml")
    assert parsed.endpoints["signs"].sensitive == ("customer_id",)
    with pytest.raises(ConfigurationError, match="must be a list of names"):
        parse_monitors("version: 1\nendpoints: {signs: {sensitive: customer_id}}", "m.yml")


def test_a_diagnosis_is_bounded_by_its_owner():
    monitors = parse_monitors(
        "version: 1\nendpoints: {signs: {diagnosis: {region: [0.2, 0, 0.8, 1], clean_inputs: false, "
        "observe: {every: 10, megabytes: 50}, environment: [MODEL_NAME]}}}",
        "monitors.yml",
    )
    policy = load_monitors(dump_monitors(monitors), "monitors.json").endpoints["signs"].diagnosis
    assert (policy.every, policy.megabytes, policy.clean_inputs) == (10, 50, False)
    assert policy.environment == ("MODEL_NAME",)
    assert policy.region == (0.2, 0.0, 0.8, 1.0)


@pytest.mark.parametrize(
    "region", ["middle", "[0.1, 0.1, 0.9]", "[0.9, 0, 0.1, 1]", "[0, 0, 1, 2]", "[a, b, c, d]"]
)
def test_a_region_that_is_no_rectangle_in_the_picture_is_refused(region):
    with pytest.raises(ConfigurationError, match=r"such as \[0.1, 0.1, 0.9, 0.9\]"):
        parse_monitors(
            f"version: 1\nendpoints: {{signs: {{diagnosis: {{region: {region}}}}}}}", "monitors.yml"
        )


IMPOSSIBLE = """\
version: 1
endpoints: {signs: {}, churn: {}}
routes:
  receiver: ml
  routes:
    - {match: ["severity=critical"], receiver: pager}
    - {match: ["endpoint=signs"], receiver: pager, escalate: [{after: 5m, receiver: ml}]}
receivers:
  ml: {slack: {channel: "#ml", token: "secret:sagewatch/slack", api_url: "https://slack.com/api/"}}
  pager: {webhook: {url: "https://example.com/hook", secret: "secret:sagewatch/hook"}}
inhibit:
  - {when: ["kind=rejected"], mutes: ["kind=no-data"]}
flapping: {budget: 32}
windows: {release: {mutes: ["endpoint=signs"], every: "daily 01:00-02:00"}}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "reason"),
    [
        ("severity=critical", "severity=high", 6, "routes.routes[0].match", "severity=high names no severity"),
        ("severity=critical", "severity=~crit", 6, "routes.routes[0].match", "names no severity"),
        ('endpoint=signs"], r', 'endpoint=sings"], r', 7, "routes.routes[1].match", "names no endpoint"),
        ("kind=rejected", "kind=rejcted", 12, "inhibit[0].when", "names no kind"),
        ("kind=no-data", "kind=no_data", 12, "inhibit[0].mutes", "names no kind"),
        ('mutes: ["endpoint=signs', 'mutes: ["endpoint=x', 14, "windows.release.mutes", "names no endpoint"),
        ("severity=critical", 'severity=critical", "severity=info', 6, "routes.routes[0].match", "never hold together"),
        ("severity=critical", 'subject=1", "subject!=1', 6, "routes.routes[0].match", "never hold together"),
        ('["severity=critical"]', "{severity: critical}", 6, "routes.routes[0].match", "must be a list of matchers"),
        ('["severity=critical"]', "[]", 7, "routes.routes[1]", "is never reached"),
        ('endpoint=signs"], r', 'endpoint=signs", "severity=critical"], r', 7, "routes.routes[1]", "is never reached"),
        ("  receiver: ml\n", "  receiver: ml\n  match: [severity=info]\n", 5, "routes.match", "no meaning here"),
        ("  receiver: ml\n", "  receiver: ml\n  continue: true\n", 5, "routes.continue", "no meaning here"),
        ("  receiver: ml\n", "", 4, "routes", "must name the receiver"),
        ("after: 5m, receiver: ml", "after: 5m, receiver: pager", 7, "routes.routes[1].escalate[0].receiver", "at once already"),
        ("https://slack.com/api/", "http://slack.example/api/", 9, "receivers.ml.slack.api_url", "must be an https://"),
        ("https://slack.com/api/", "http://127.0.0.1.evil.example/", 9, "receivers.ml.slack.api_url", "must be an https://"),
        ("https://slack.com/api/", "https://slack.com/api", 9, "receivers.ml.slack.api_url", "must end with /"),
        ("https://example.com/hook", "http://127.0.0.1.evil.example", 10, "receivers.pager.webhook.url", "must be an https://"),
        ("https://example.com/hook", "https://", 10, "receivers.pager.webhook.url", "must be an https://"),
        ("https://example.com/hook", "https://u:p@example.com/", 10, "receivers.pager.webhook.url", "no user and no password"),
        ("https://example.com/hook", "https://example.com:x/", 10, "receivers.pager.webhook.url", "is no address"),
        ('mutes: ["kind=no-data"]', 'mutes: ["kind=rejected"]', 12, "inhibit[0].mutes", "is the same as when"),
        ("budget: 32", "budget: 33", 13, "flapping.budget", "must be at most 32"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_refused_by_file_line_and_key(old, new, line, key, reason):
    assert IMPOSSIBLE.count(old) == 1
    text = IMPOSSIBLE.replace(old, new)
    if key == "receivers.idle":  # into the list of receivers, where it belongs
        text = IMPOSSIBLE.replace("inhibit:", "  idle: {mail: {}}\ninhibit:")
        line = 11
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert (caught.value.where, caught.value.line, caught.value.key) == ("monitors.yml", line, key)
    assert reason in caught.value.reason


def test_what_looks_alike_and_can_work_is_accepted():
    parse(IMPOSSIBLE)
    parse(IMPOSSIBLE.replace("https://slack.com/api/", "http://127.0.0.1:8080/api/"))
    parse(IMPOSSIBLE.replace("inhibit:", "  test: {mail: {}}\ninhibit:"))  # rehearsals find it
    parse(IMPOSSIBLE.replace('["severity=critical"], receiver: pager', "[], receiver: pager, continue: true"))


@pytest.mark.parametrize("detector", ["class-concentration", "confidence", "rejected"])
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("5", "must be at least 10, not 5: below that an alarm is due by the passing of time alone"),
        (f"1{'0' * 400}", "must be at most 1000000000000000: no endpoint predicts so often"),
    ],
)
def test_false_alarms_that_no_detector_can_keep_to_are_refused_by_line_and_key(detector, number, reason):
    text = "version: 1\nendpoints:\n  signs:\n    detectors:\n      {}: {{one_false_alarm_in: {}}}\n"
    with pytest.raises(ConfigurationError) as caught:
        parse(text.format(detector, number))
    assert caught.value.line == 5
    assert caught.value.key == f"endpoints.signs.detectors.{detector}.one_false_alarm_in"
    assert caught.value.reason.startswith(reason)
    parse(text.format(detector, "10"))


def test_a_receiver_without_a_channel_is_refused():
    with pytest.raises(ConfigurationError) as caught:
        parse("version: 1\nendpoints: {signs: {}}\nreceivers:\n  ml: {}\n")
    assert (caught.value.line, caught.value.key) == (4, "receivers.ml")
    assert "has no channel" in caught.value.reason
