from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sagewatch.cli.routes import routes

MONITORS = """
version: 1
endpoints: {prod-signs: {}}
routes:
  receiver: team
  group_wait: 30s
  escalate: [{after: 15m, receiver: boss}]
  routes: [{match: ["severity=critical", "endpoint=~prod-.*"], receiver: pager, continue: true}]
receivers: {team: {mail: {}}, pager: {mail: {}}, boss: {mail: {}}}
"""


@pytest.fixture
def ask(tmp_path):
    """Run ``sagewatch routes test`` on these routes."""
    file = tmp_path / "monitors.yml"
    file.write_text(MONITORS)
    return lambda *words: CliRunner().invoke(routes, ["test", *words, "--file", str(file)])


def test_it_says_who_hears_when_and_why(ask):
    told = ask("endpoint=prod-signs", "severity=critical").output.splitlines()
    assert told[0].startswith("pager: after 30 s; by default > severity=critical, endpoint=~prod-.*")
    assert told[1].startswith("boss: if nobody acknowledges for 15 min; by default")


def test_it_speaks_json(ask):
    (team, boss) = json.loads(ask("endpoint=test", "--json").output)
    assert (team["receiver"], team["after_seconds"], team["group_wait_seconds"]) == ("team", 0, 30)
    assert (boss["receiver"], boss["after_seconds"]) == ("boss", 900)


def test_a_label_that_is_none_is_refused(ask):
    done = ask("colour=red")
    assert done.exit_code == 2
    assert "colour=red is no label=value" in done.output


def test_a_kind_is_taken_by_the_rule_of_the_matchers(ask):
    """What may stand in monitors.yml may be tried; what is refused there as misspelt is refused here."""
    told = ask("endpoint=prod-signs", "kind=endpoint-failing")
    assert told.exit_code == 0
    assert "team" in told.output
    assert "kind=endpoint-failing names a kind that nothing of Sagewatch raises" in told.output
    done = ask("kind=no_data")
    assert done.exit_code == 2
    assert "names no kind" in done.output
    assert "Is this meant" not in ask("kind=no-data").output


def test_the_escalation_of_the_documentation_fires(tmp_path):
    """It did not: who it would have told heard at once."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "configuration.md").read_text()
    (example,) = (one for one in re.findall("```yaml\n(.*?)```", text, re.DOTALL) if "escalate" in one)
    file = tmp_path / "monitors.yml"
    file.write_text(example)
    words = ["test", "endpoint=traffic-signs", "severity=critical", "--file", str(file)]
    told = CliRunner().invoke(routes, words).output.splitlines()
    assert told[0].startswith("night: ")
    assert told[1].startswith("lead: if nobody acknowledges for 30 min")
