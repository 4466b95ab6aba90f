from __future__ import annotations

import json

from click.testing import CliRunner

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
