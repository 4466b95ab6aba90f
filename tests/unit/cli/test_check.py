from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from layers.package_stack import compile_monitors
from sagewatch.cli.check import check

ROOT = Path(__file__).resolve().parents[3]
MONITORS = """
version: 1
endpoints: {signs: {}}
receivers: {team: {mail: {}}}
routes:
  receiver: team
  routes: [{match: ["kind=~acme-.*"], receiver: team, group_wait: 1m}]
inhibit:
  - {when: ["kind=endpoint-failing"], mutes: ["kind=no-data"], equal: [endpoint]}
"""


def test_a_kind_that_nothing_here_raises_is_told_with_its_key_and_is_no_error(tmp_path):
    file = tmp_path / "monitors.yml"
    file.write_text(MONITORS)
    done = CliRunner().invoke(check, [str(file)])
    assert done.exit_code == 0
    assert "right" in done.output
    route, rule = json.loads(CliRunner().invoke(check, [str(file), "--json"]).output)["doubts"]
    assert route.startswith(
        "routes.routes[0].match: kind=~acme-.* names a kind that nothing of Sagewatch raises"
    )
    assert rule.startswith("inhibit[0].when: kind=endpoint-failing names a kind")


def test_a_receiver_that_no_route_names_any_more_is_told_and_no_error(tmp_path):
    """It has alerts open, perhaps, whose end it is still owed: ``sagewatch doctor`` advises to keep it."""
    file = tmp_path / "monitors.yml"
    file.write_text(
        "version: 1\nreceivers: {ml: {mail: {}}, old: {mail: {}}, test: {mail: {}}}\nroutes: {receiver: ml}\n"
    )
    done = CliRunner().invoke(check, [str(file)])
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert "receivers.old: no route names it: it hears only the end of what it was told before." in said
    assert "receivers.test" not in said


def test_what_is_meant_is_not_asked_about(tmp_path):
    file = tmp_path / "monitors.yml"
    file.write_text(MONITORS.replace("~acme-.*", "rejected").replace("endpoint-failing", "job-failed"))
    assert "Is this meant" not in CliRunner().invoke(check, [str(file)]).output


@pytest.mark.parametrize(
    ("name", "prefix", "readable"),
    [
        ("secret:sagewatch/slack", "sagewatch", True), ("ssm:/sagewatch/slack", "sagewatch", True),
        ("secret:slack", "sagewatch", False), ("secret:sagewatch/", "sagewatch", False),
        ("secret:other/sagewatch/slack", "sagewatch", False), ("ssm:sagewatch/slack", "sagewatch", False),
        ("secret:sagewatch/dev/slack", "sagewatch/prod", False), ("secret:sagewatch/prod/slack", "sagewatch/prod", True),
    ],
)  # fmt: skip
def test_a_secret_that_no_function_may_read_is_told(tmp_path, name, prefix, readable):
    """The roles read what lies below the stack's secretPrefix (resources/roles.yml), and nothing else."""
    file = tmp_path / "monitors.yml"
    file.write_text(
        f"version: 1\nendpoints: {{signs: {{}}}}\nreceivers: {{ml: {{slack-webhook: {{url: '{name}'}}}}}}\n"
        f"slack: {{signing: 'secret:{prefix}/signing'}}\n"
    )
    done = CliRunner().invoke(check, [str(file), "--secret-prefix", prefix, "--json"])
    doubts = json.loads(done.output)["doubts"]
    assert [one.partition(":")[0] for one in doubts] == (
        [] if readable else ["receivers.ml.slack-webhook.url"]
    )
    if readable:
        compile_monitors(file, tmp_path / "monitors.json", prefix)
    else:
        with pytest.raises(SystemExit, match="may read no other"):
            compile_monitors(file, tmp_path / "monitors.json", prefix)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("endpoints: {signs: {detectors: {rejected: {}}}}\nreceivers: {ml: {mail: {}}}", "endpoints.signs.detectors"),
        ("endpoints: {signs: {detectors: {no-data: {staged: true}}}}\nreceivers: {ml: {mail: {}}}", "endpoints.signs.detectors"),
        ("endpoints: {signs: {}}", "receivers"),
        ("endpoints: {signs: {}}\nreceivers: {test: {mail: {}}}", "receivers"),
        ("endpoints: {signs: {}}\nreceivers: {ml: {mail: {}}}\nwindows: {off: {every: 'daily 00:00-00:00'}}", "windows.off"),
        ("endpoints: {signs: {}}\nreceivers: {ml: {mail: {}}}\nwindows: {off: {mutes: [kind=bias], every: 'Mon-Sun 08:00-08:00'}}", "windows.off"),
    ],
)  # fmt: skip
def test_where_nobody_watches_or_can_hear_it_is_asked_whether_that_is_meant(tmp_path, text, key):
    file = tmp_path / "monitors.yml"
    file.write_text(f"version: 1\n{text}\n")
    done = CliRunner().invoke(check, [str(file), "--json"])
    assert done.exit_code == 0, done.output
    (doubt,) = json.loads(done.output)["doubts"]
    assert doubt.startswith(f"{key}: ")


PRODUCTION = """\
version: 1
endpoints: {prod-a: {}, prod-b: {}, other: {}}
receivers: {team: {mail: {}}, pager: {mail: {}}, boss: {slack-webhook: {url: "secret:sagewatch/boss"}}}
routes:
  receiver: team
  escalate: [{after: 30m, receiver: boss}]
  routes:
    - {match: ["endpoint=prod-a"], receiver: pager}
    - {match: ["endpoint=~prod-.*"], receiver: boss}
"""
CHILDREN = """\
    - {match: ["severity=critical"], receiver: boss}
    - {match: ["severity=~warning|info"], receiver: pager, escalate: []}
"""


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (PRODUCTION, ""),
        (PRODUCTION.replace(" prod-b: {},", ""), "routes.routes[1]: is never reached"),
        (PRODUCTION[: PRODUCTION.index("    - {match")] + CHILDREN, "routes.escalate[0]: never fires"),
    ],
    ids=["both endpoints", "one taken out", "children need no escalation"],
)
def test_what_only_these_endpoints_or_children_leave_unreached_is_asked_about_and_no_error(
    tmp_path, text, key
):
    """Taking an endpoint out of the file would be refused because of a route that nobody touched."""
    file = tmp_path / "monitors.yml"
    file.write_text(text)
    done = CliRunner().invoke(check, [str(file), "--json"])
    assert done.exit_code == 0, done.output
    doubts = json.loads(done.output)["doubts"]
    assert len(doubts) == bool(key)
    assert all(one.startswith(key) for one in doubts)


SHARED = """\
version: 1
endpoints: {signs: {}, churn: {}}
receivers: {team: {mail: {}}, growth: {mail: {topic: alerts}}, lead: {html-mail: {sender: a@example.com, to: b@example.com}}}
routes:
  receiver: team
  routes: [{match: ["endpoint=churn"], receiver: growth}]
"""
TWICE = "is told twice. Give one of them html-mail, which has addresses of its own."
NOBODY = "an escalation to it reaches nobody new. Give one of them html-mail"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (SHARED, "", ""),
        (SHARED.replace("growth}", "growth, continue: true}"), "", ""),
        (SHARED.replace("growth}", "growth, continue: true}, {match: [severity=critical], receiver: team}"),
         "receivers.team.mail", TWICE),
        (SHARED.replace("growth}", "growth, escalate: [{after: 30m, receiver: team}]}"), "receivers.team.mail", NOBODY),
        (SHARED.replace("growth}", "growth, escalate: [{after: 30m, receiver: lead}]}"), "", ""),
    ],
    ids=["parted", "continued to nobody", "continued", "escalated", "addresses of its own"],
)  # fmt: skip
def test_two_receivers_that_are_one_topic_and_hear_of_the_same_are_asked_about(tmp_path, text, key, words):
    file = tmp_path / "monitors.yml"
    file.write_text(text)
    doubts = json.loads(CliRunner().invoke(check, [str(file), "--json"]).output)["doubts"]
    assert [one.partition(": ")[0] for one in doubts if "no route names" not in one] == [key] * bool(key)
    assert words in " ".join(doubts)


def test_one_chat_topic_for_two_receivers_is_asked_about_and_slack_is_named_instead(tmp_path):
    file = tmp_path / "monitors.yml"
    text = SHARED.replace("growth}", "growth, escalate: [{after: 30m, receiver: team}]}")
    file.write_text(text.replace("mail: {}", "amazon-q: {}").replace("mail: {topic: alerts}", "amazon-q: {}"))
    (doubt, _) = json.loads(CliRunner().invoke(check, [str(file), "--json"]).output)["doubts"]
    assert doubt.startswith("receivers.team.amazon-q: is the topic that receivers.growth.amazon-q is")
    assert "slack or slack-webhook" in doubt


def test_what_we_ship_leaves_no_doubt():
    done = CliRunner().invoke(check, [str(ROOT / "monitors.yml"), "--json"])
    assert json.loads(done.output)["doubts"] == []


def test_a_window_of_some_hours_or_some_days_is_no_doubt(tmp_path):
    file = tmp_path / "monitors.yml"
    windows = "windows: {night: {every: 'daily 22:00-06:00'}, weekend: {every: 'Sat,Sun 00:00-00:00'}}"
    file.write_text(f"version: 1\nendpoints: {{signs: {{}}}}\nreceivers: {{ml: {{mail: {{}}}}}}\n{windows}\n")
    assert json.loads(CliRunner().invoke(check, [str(file), "--json"]).output)["doubts"] == []
