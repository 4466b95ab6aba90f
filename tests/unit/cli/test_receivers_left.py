"""A receiver that is renamed while something is open there is told of where people look: check, doctor, deployment."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import boto3
import pytest
from click.testing import CliRunner

from deploy.surroundings import look_around
from sagewatch.cli import cli
from sagewatch.cli.checks import Line, Patient
from sagewatch.cli.checks.receivers import check_receivers
from sagewatch.flows.act_by_hand import resolve_incident
from sagewatch.monitors import parse_monitors
from tests.aws_in_process import dynamo_items
from tests.unit.cli.stores import build_store
from tests.unit.flows.worlds import MONITORS, Pump

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
RENAMED = MONITORS.replace("ml-on-call", "night-shift")


@pytest.fixture
def store():
    return build_store()[0]


def look(items, monitors):
    return list(
        check_receivers(Patient(None, {}, "sagewatch-dev", parse_monitors(monitors, "m.yml"), NOW, items))
    )


def test_what_is_open_at_a_receiver_that_is_gone_is_counted(store):
    open_at = {one.receiver for one in store.state.load_debts(store.state.list_incidents()[0].incident_id)}
    lines = look(store.state.items, RENAMED)
    assert {line.what for line in lines} == {f"receiver {name}" for name in open_at}
    assert {line.found for line in lines} == {
        "has 1 alert open and is not in monitors.yml: it will not be told when they are over"
    }
    assert not any(line.well for line in lines)


def test_nothing_is_said_where_every_receiver_is_there_or_nothing_is_open(store):
    assert look(store.state.items, MONITORS) == [
        Line(True, "receivers", "whoever has an alert open is in monitors.yml")
    ]
    with dynamo_items() as items:
        assert [line.well for line in look(items, RENAMED)] == [True]


def test_what_is_open_of_an_endpoint_that_is_gone_is_counted_until_somebody_ends_it(store):
    gone = MONITORS.replace("  signs:", "  other-signs:")
    assert gone != MONITORS
    (line,) = look(store.state.items, gone)
    assert line.what == "endpoint signs"
    assert line.found.startswith("has 1 incident open and is not in monitors.yml: nothing ends them")
    assert "sagewatch incidents resolve" in line.fix
    resolve_incident(store.state.list_incidents()[0].incident_id, by="ada", reason="gone", world=store.world)
    Pump(store.world).run()
    assert [line.well for line in look(store.state.items, gone)] == [True]


def test_check_tells_it_of_a_stack_and_only_where_one_is_named(store, tmp_path):
    path = tmp_path / "monitors.yml"
    path.write_text(RENAMED)
    run = CliRunner().invoke
    assert "alert open" not in run(cli, ["check", str(path)], obj=store).output
    told = run(cli, ["check", str(path), "--stack", "sagewatch-dev", "--json"], obj=store)
    assert told.exit_code == 0
    assert any("ml-on-call" in one and "1 alert open" in one for one in json.loads(told.output)["doubts"])


def test_a_deployment_warns_of_it_before_it_changes_anything(store):
    with dynamo_items() as items:
        for row in store.state.items.rows.values():
            items._client.put_item(
                TableName=items._table,
                Item={
                    "pk": {"S": row.pk},
                    "sk": {"S": row.sk},
                    "body": {"B": row.body},
                    "version": {"N": "1"},
                },
            )
        session = boto3.session.Session(region_name="eu-west-1")
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {"StateTable": {"Value": items._table}},
        }
        monitors = parse_monitors(RENAMED, "monitors.yml")
        told = look_around(template, "123456789012", "sagewatch-dev", session, monitors)
        assert not any("receiver" in line for line in told), "the stack is new"
        session.client("cloudformation").create_stack(
            StackName="sagewatch-dev", TemplateBody=json.dumps(template)
        )
        told = look_around(template, "123456789012", "sagewatch-dev", session, monitors)
        assert any(line.startswith("WARNING: receiver ml-on-call") for line in told)
