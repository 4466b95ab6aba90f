"""The minute's tick measures how late a diagnosis is, and the alarm looks at exactly that metric."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from sagewatch.aws.metrics import EmfMetrics
from sagewatch.diagnose.model import Phase
from sagewatch.entry import handle
from sagewatch.events import Ticked
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from tests.unit.flows.test_diagnosis_way_back import hook, pass_minutes
from tests.unit.flows.worlds import Pump, build_event, build_finding, build_world

ROOT = Path(__file__).parents[3]


def overdue(world):
    tick(Ticked(world.now()), world)
    return [row for row in world.metrics.values if row[0] == "DiagnosisOverdue"][-1]


def test_where_nothing_is_late_the_metric_says_zero_so_that_the_alarm_has_data():
    world = build_world()
    assert overdue(world) == ("DiagnosisOverdue", 0.0, "Seconds", (("EventBus", "sagewatch"),))


def test_a_diagnosis_whose_deadline_passed_unheard_is_late_by_the_clock():
    world = build_world()
    handle(manage_incident, build_event(build_finding()), world)
    Pump(world).run()
    diagnosis = world.state.load_diagnosis("signs")
    assert diagnosis is not None
    assert not diagnosis.phase.over
    world.now.move(diagnosis.due - world.now() + timedelta(minutes=11))
    assert overdue(world)[1] == pytest.approx(660)


@pytest.mark.parametrize("hangs", [False, True], ids=["rolled back each time", "updating for ever"])
def test_an_endpoint_that_does_not_come_back_is_later_with_every_minute(hangs):
    """The deadline is put off each half hour, to ask again; what people are told by is not."""
    world = hook()
    world.hosting.rolls_back = True
    pass_minutes(world, 22)
    if hangs:
        world.hosting.settle = lambda: None
    assert world.state.load_diagnosis("signs").phase is Phase.RESTORING
    late = []
    for _ in range(9):
        pass_minutes(world, 15)
        late.append(overdue(world)[1])
    assert late == sorted(late)
    assert late[-1] > 5400
    world.hosting.rolls_back = False
    world.hosting.__dict__.pop("settle", None)
    pass_minutes(world, 4)
    assert world.state.load_diagnosis("signs").told
    assert overdue(world)[1] == 0


def test_the_alarm_asks_for_the_metric_that_the_tick_puts():
    source = (ROOT / "resources" / "watch.js").read_text()
    alarm = re.search(r"made\.DiagnosisOverdueAlarm = alarm\((.*?)\n  \}\);", source, re.DOTALL)[1]
    assert "MetricName: 'DiagnosisOverdue'" in alarm
    assert "Namespace: 'Sagewatch'" in alarm
    assert "Dimensions: [{ Name: 'EventBus', Value: BUS }]" in alarm
    assert "const BUS = '${param:eventBus}';" in source


def test_a_metric_has_the_dimensions_that_it_was_given_and_none_of_the_deployments(monkeypatch, capsys):
    """CloudWatch compares whole sets of dimensions: one more, and no search and no alarm finds the metric."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "sagewatch")
    EmfMetrics("Sagewatch").put({"Predictions": 3.0}, "Count", Endpoint="signs", Variant="v")
    EmfMetrics("Sagewatch").put({"DiagnosisOverdue": 0.0}, "Seconds", EventBus="sagewatch")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sets = [line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] for line in lines]
    assert sets == [[["Endpoint", "Variant"]], [["EventBus"]]]
