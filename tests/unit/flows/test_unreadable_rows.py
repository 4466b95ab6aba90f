"""A row of the table that cannot be read keeps nobody else's alert waiting, and is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagewatch.entry import handle
from sagewatch.errors import RejectedInputError
from sagewatch.events import Ticked
from sagewatch.flows.deliver_alert import deliver_alert
from sagewatch.flows.evidence import INDEX_KEY
from sagewatch.flows.incident_changes import build_due
from sagewatch.flows.manage_incident import manage_incident
from sagewatch.flows.tick import tick
from sagewatch.ports import ANY_VERSION, Item, Write
from sagewatch.state.incidents import OPEN_INCIDENTS
from tests.unit.flows.worlds import MONITORS, NOW, Pump, build_event, build_finding, build_world

INHIBITING = MONITORS + 'inhibit: [{when: ["kind=no-data"], mutes: ["kind=confidence"], equal: [endpoint]}]\n'
DAMAGED = [
    b"junk",
    b"{}",
    b'{"incident_id": "x", "due_at": null, "over": false, "staged": false, "labels": {}}',
]


class Stage:
    """An incident of which nobody was told yet: the event that says so was lost."""

    def __init__(self):
        self.world = build_world(INHIBITING)
        self.pump = Pump(self.world)
        handle(manage_incident, build_event(build_finding()), self.world)
        self.world.bus.events.clear()
        (listed,) = self.world.state.list_incidents()
        self.incident_id = listed.incident_id

    def damage(self, pk, sk, body, version=1):
        self.world.state._items.write([Write(Item(pk, sk, body, version), ANY_VERSION)])

    def tick(self):
        self.world.now.move(timedelta(minutes=1))
        try:
            tick(Ticked(self.world.now()), self.world)
        finally:
            self.pump.run()


@pytest.mark.parametrize("body", DAMAGED)
def test_a_row_of_no_incident_is_named_and_the_others_are_told(body):
    stage = Stage()
    stage.damage(OPEN_INCIDENTS, "20261121T120000Z-none", body)
    with pytest.raises(RejectedInputError) as named:
        stage.tick()
    assert named.value.key == "20261121T120000Z-none"
    assert len(stage.world.chat.posted) == 1


@pytest.mark.parametrize("body", DAMAGED)
def test_an_incident_whose_row_was_damaged_is_told_all_the_same_and_its_row_mended(body):
    stage = Stage()
    assert stage.world.chat.posted == []
    stage.damage(OPEN_INCIDENTS, stage.incident_id, body)
    stage.tick()
    assert len(stage.world.chat.posted) == 1
    found, unreadable = stage.world.alerts.read_due()
    assert ([one.incident_id for one in found], unreadable) == ([stage.incident_id], [])
    stage.tick()
    assert len(stage.world.chat.posted) == 1


def test_a_damaged_silence_silences_nothing_and_is_named():
    stage = Stage()
    stage.damage("silences", "eabdce5d97bbe45e", b'{"silence_id": 7}')
    with pytest.raises(RejectedInputError, match="silences nothing") as named:
        stage.tick()
    assert named.value.key == "eabdce5d97bbe45e"
    assert len(stage.world.chat.posted) == 1


UNREADABLE = [b"junk", b"{}", b'{"incident_id": 7, "secret": "captured words"}']


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_line_of_the_list_that_was_damaged_is_read_from_its_incident(body):
    stage = Stage()
    before = stage.world.state.list_incidents()
    stage.damage("incidents", stage.incident_id, body)
    assert stage.world.state.read_incidents() == (before, [])


@pytest.mark.parametrize("body", UNREADABLE)
def test_an_incident_that_cannot_be_read_is_named_by_tick_and_page_and_hides_no_other(body):
    stage = Stage()
    lost = f"{stage.world.now():%Y%m%dT%H%M%SZ}-gone"
    stage.damage("incidents", lost, body)
    with pytest.raises(RejectedInputError) as named:
        stage.tick()
    assert (named.value.where, named.value.key) == ("incidents", lost)
    assert "captured" not in str(named.value)
    assert [one.incident_id for one in stage.world.state.list_incidents()] == [stage.incident_id]
    assert len(stage.world.chat.posted) == 1
    index = stage.world.objects.open_object(stage.world.settings.evidence_bucket, INDEX_KEY).read().decode()
    assert stage.incident_id in index
    assert f"Cannot be read and not listed: {lost}." in index


@pytest.mark.parametrize("body", UNREADABLE)
@pytest.mark.parametrize("row", ["open", "meta"])
def test_what_is_open_and_cannot_be_read_is_never_taken_for_nothing_open(row, body):
    """The finding is refused by the row's name and waits as a dead letter; no second incident stands on the first."""
    stage = Stage()
    finding = build_finding(severity="critical")
    where = {"open": f"open#{finding.fingerprint}", "meta": f"incident#{stage.incident_id}"}[row]
    stage.damage(where, row, body, version=2)
    with pytest.raises(RejectedInputError, match="cannot be read") as named:
        handle(manage_incident, build_event(finding), stage.world)
    assert (named.value.where, named.value.key) == (where, row)
    assert "captured" not in str(named.value)
    assert len(stage.world.state._items.query("incidents")) == 1


def find_member(stage):
    """Where the row of the one incident's member is, and what it holds."""
    debts = stage.world.state.load_debts(stage.incident_id)
    debt = next(one for one in debts if one.receiver.endswith("/slack"))
    return debt, f"group#{debt.group}#slack", f"member#{stage.incident_id}"


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_member_that_cannot_be_read_hides_no_other_of_its_group_and_joins_anew_as_what_it_was_told(body):
    stage = Stage()
    stage.tick()
    debt, pk, sk = find_member(stage)
    before = stage.world.alerts.load_member(debt.group, debt.receiver, stage.incident_id)
    stage.damage(pk, sk, body, version=before.version)
    assert stage.world.alerts.load_group(debt.group, debt.receiver).members == ()
    stage.world.now.move(timedelta(minutes=20))
    stage.tick()
    after = stage.world.alerts.load_member(debt.group, debt.receiver, stage.incident_id)
    assert (after.told, after.generation, after.thread) == ("firing", before.generation, before.thread)
    assert len(stage.world.chat.posted) == 1, "nobody is woken again"


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_ledger_that_cannot_be_read_is_named_and_newcomers_have_a_message_of_their_own(body):
    stage = Stage()
    stage.tick()
    debt, pk, _ = find_member(stage)
    stage.damage(pk, "ledger", body)
    with pytest.raises(RejectedInputError) as named:
        deliver_alert(build_due(stage.world.state.load_incident(stage.incident_id)), stage.world)
    assert (named.value.where, named.value.key) == (pk, "ledger")
    assert stage.world.alerts.find_room(debt.group, debt.receiver, stage.world.now()) == f"{debt.group}-part2"


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_copy_for_readers_that_cannot_be_read_keeps_no_receiver_waiting(body):
    stage = Stage()
    stage.tick()
    debt, _, _ = find_member(stage)
    stage.damage(f"incident#{stage.incident_id}", f"outbox#{debt.receiver}", body)
    handle(manage_incident, build_event(build_finding(severity="critical", finding_id="second")), stage.world)
    stage.pump.run()
    assert len(stage.world.chat.posted) + len(stage.world.chat.replies) > 1


@pytest.mark.parametrize("body", UNREADABLE)
def test_a_line_of_the_trail_that_cannot_be_read_says_so_in_its_place(body):
    stage = Stage()
    rows = stage.world.state._items.query(f"incident#{stage.incident_id}", "event#", "event#\U0010ffff")
    stage.damage(rows[0].pk, rows[0].sk, body)
    entries = stage.world.state.load_entries(stage.incident_id)
    assert len(entries) == len(rows)
    said = [(one.what, one.reason) for one in entries if one.at == NOW]
    assert ("line_of_the_trail", "row_unreadable") in said
