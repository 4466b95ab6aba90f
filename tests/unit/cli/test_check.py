from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from layers.package_stack import compile_monitors
from sagewatch.cli.check import check

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
