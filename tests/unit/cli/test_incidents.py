"""What a person reads and decides at the command line is what the stack knows and does."""

from __future__ import annotations

import hashlib
import json

import boto3
import msgspec
import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.errors import RejectedInputError
from sagewatch.incident.model import OpenRecord
from sagewatch.ports import ANY_VERSION, Item, Write
from tests.aws_in_process import empty_aws
from tests.unit.cli.stores import INCIDENT, build_store
from tests.unit.flows.worlds import Pump


@pytest.fixture
def stack():
    return build_store()


def run(store, *arguments):
    result = CliRunner().invoke(cli, arguments, obj=store)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_list_shows_an_incident_in_a_line_and_filters_it(stack):
    store, _ = stack
    assert INCIDENT in run(store, "incidents", "list")
    assert INCIDENT in run(store, "incidents", "list", "--state", "open", "--endpoint", "signs")
    assert run(store, "incidents", "list", "--state", "resolved").startswith("No incident that fits")
    assert run(store, "incidents", "list", "--kind", "no-data").startswith("No incident that fits")
    (row,) = json.loads(run(store, "incidents", "list", "--json"))
    assert (row["incident_id"], row["state"], row["severity"]) == (INCIDENT, "open", "critical")


def test_the_list_names_what_it_cannot_read_and_shows_the_others(stack):
    store, world = stack
    lost = "20261121T203406Z-gone"
    world.state.items.write([Write(Item("incidents", lost, b"junk"), ANY_VERSION)])
    result = CliRunner().invoke(cli, ["incidents", "list", "--json"], obj=store)
    assert [row["incident_id"] for row in json.loads(result.stdout)] == [INCIDENT]
    assert lost in result.stderr


def test_show_tells_what_why_who_and_where(stack):
    store, _ = stack
    shown = run(store, "incidents", "show", INCIDENT)
    assert "Class 14 takes" in shown
    assert "incident_opened (new_incident) by manage_incident" in shown
    assert "alert_sent" in shown
    assert f"incidents/{INCIDENT}/index.html" in shown


def test_show_names_the_class_as_the_bundle_does(stack):
    store, world = stack
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/classes.json"] = b'{"14": "Stop"}'
    assert "Class 14 (Stop) takes" in run(store, "incidents", "show", INCIDENT)
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/classes.json"] = b'{"14": ["Stop"'
    assert "Class 14 takes" in run(store, "incidents", "show", INCIDENT)


def test_the_beginning_of_an_id_is_enough_where_it_is_one_incidents(stack):
    store, _ = stack
    assert INCIDENT in run(store, "incidents", "show", "20261121T2034")
    with pytest.raises(RejectedInputError, match="incidents list"):
        run(store, "incidents", "show", "1999")


def test_an_acknowledgement_is_seen_by_those_who_were_told(stack):
    store, world = stack
    run(store, "incidents", "ack", INCIDENT, "--by", "ada")
    assert store.state.load_incident(INCIDENT).acknowledged_by == "ada"
    assert "already acknowledged" in run(store, "incidents", "ack", INCIDENT, "--by", "bob")
    (row,) = json.loads(run(store, "incidents", "list", "--json"))
    assert (row["state"], row["acknowledged_by"]) == ("acknowledged", "ada")
    assert world.bus.events[-1]["detail-type"] == "Incident Acknowledged"


def test_resolving_by_hand_tells_everybody_the_end_once_and_keeps_the_reason(stack):
    store, world = stack
    before = len(world.mail.mails)
    pump = Pump(world)
    pump.run()
    run(store, "incidents", "resolve", INCIDENT, "--reason", "camera was turned", "--by", "ada")
    assert "already resolved" in run(
        store, "incidents", "resolve", INCIDENT, "--reason", "again", "--by", "ada"
    )
    pump.run()
    assert len(world.mail.mails) == before + 1
    assert "RESOLVED" in world.mail.mails[-1][0]
    assert "note=camera was turned" in run(store, "incidents", "show", INCIDENT)


def test_a_silence_names_who_and_why(stack):
    store, world = stack
    made = json.loads(
        run(store, "incidents", "silence", INCIDENT, "--for", "2h", "--reason", "new camera", "--json")
    )
    kept = world.alerts.load_silence(made["silence_id"])
    assert kept.reason == "new camera"
    assert 'subject="14"' in kept.matchers


def test_the_report_is_checked_against_its_manifest(stack, tmp_path):
    store, world = stack
    run(store, "incidents", "report", INCIDENT, "--out", str(tmp_path))
    assert (tmp_path / INCIDENT / "index.html").read_bytes().startswith(b"<!doctype html>")
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/findings.json"] = b"[]"
    with pytest.raises(RejectedInputError, match=r"not as the manifest says: 'findings\.json'"):
        run(store, "incidents", "report", INCIDENT, "--out", str(tmp_path))


def forge(world, paths, extra=()):
    """The bundle's manifest names these paths too, with the right fingerprints; what lies there."""
    key = f"incidents/{INCIDENT}/manifest.json"
    manifest = json.loads(world.objects.bodies["evidence", key])
    for path in [*paths, *extra]:
        world.objects.bodies["evidence", f"incidents/{INCIDENT}/{path}"] = b"x"
    manifest["files"] += [
        {
            "path": path,
            "media_type": "text/plain",
            "size_bytes": 1,
            "sha256": hashlib.sha256(b"x").hexdigest(),
        }
        for path in paths
    ]
    world.objects.bodies["evidence", key] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    "path", ["../../../EVIL.txt", "/EVIL.txt", "a/../../EVIL.txt", "..\\EVIL.txt", "C:EVIL.txt", "./EVIL.txt"]
)
def test_a_report_with_a_path_outside_of_it_writes_nothing(stack, tmp_path, path):
    store, world = stack
    forge(world, [path])
    with pytest.raises(RejectedInputError, match="nothing was written"):
        run(store, "incidents", "report", INCIDENT, "--out", str(tmp_path / "a" / "b"))
    assert list(tmp_path.iterdir()) == []


def test_what_the_manifest_does_not_vouch_for_is_not_fetched(stack, tmp_path):
    store, world = stack
    forge(world, [], extra=["extra.html", "../../../EVIL.txt", "replay/1.bin"])
    run(store, "incidents", "report", INCIDENT, "--out", str(tmp_path / "a" / "b"))
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert "index.html" in written
    assert not {"extra.html", "EVIL.txt", "1.bin"} & written


def test_a_report_that_was_changed_writes_nothing(stack, tmp_path):
    store, world = stack
    world.objects.bodies["evidence", f"incidents/{INCIDENT}/findings.json"] = b"[]"
    with pytest.raises(RejectedInputError):
        run(store, "incidents", "report", INCIDENT, "--out", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_browser_still_tells_where_the_page_is(stack, tmp_path, monkeypatch):
    store, _ = stack
    monkeypatch.setenv("PATH", str(tmp_path))  # no xdg-open, no browser
    monkeypatch.delenv("DISPLAY", raising=False)
    assert f"incidents/{INCIDENT}/index.html" in run(store, "incidents", "open", INCIDENT)


def test_tail_shows_every_event_in_order_of_time(stack):
    store, _ = stack
    rows = [json.loads(line) for line in run(store, "tail", "--once", "--since", "1h", "--json").splitlines()]
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)
    assert {"finding_raised", "incident_opened", "alert_sent"} <= {row["what"] for row in rows}


def test_a_stack_that_is_not_there_is_named_with_what_to_do(monkeypatch, capsys):
    from sagewatch.cli import main

    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("sys.argv", ["sagewatch", "incidents", "list", "--stack", "nowhere"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    told = capsys.readouterr().err
    assert "Stack nowhere in no region could not be looked at. No region is named" in told


def test_a_stack_of_somebody_else_is_said_to_be_none_of_sagewatchs(monkeypatch, capsys):
    from sagewatch.cli import main

    theirs = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": {"T": {"Value": "x"}}}
    monkeypatch.setattr("sys.argv", ["sagewatch", "incidents", "list", "--stack", "theirs"])
    with empty_aws():
        boto3.client("cloudformation").create_stack(StackName="theirs", TemplateBody=json.dumps(theirs))
        with pytest.raises(SystemExit) as left:
            main()
    assert left.value.code == 2
    assert (
        "--stack, theirs: is no stack of Sagewatch's: it has no output StateTable" in capsys.readouterr().err
    )


def test_what_a_detector_on_trial_found_is_told_once_somebody_says_that_it_is_right(stack):
    store, _ = stack
    assert "already told" in run(store, "incidents", "promote", INCIDENT, "--by", "ada")
    incident = store.state.load_incident(INCIDENT)
    record = store.state.load_open(incident.fingerprint)
    findings = tuple(msgspec.structs.replace(one, staged=True) for one in incident.findings)
    store.state.save_incident(msgspec.structs.replace(incident, findings=findings), record, [])
    assert store.state.load_incident(INCIDENT).staged
    assert "promoted" in run(store, "incidents", "promote", INCIDENT, "--by", "ada")
    assert not store.state.load_incident(INCIDENT).staged
    assert store.state.load_incident(INCIDENT).promoted_by == "ada"


@pytest.mark.parametrize("name", ["", "  "])
@pytest.mark.parametrize(
    "command",
    ["incidents show", "explain", "incidents report", "incidents ack --by a", "incidents resolve --reason x"],
)
def test_an_empty_id_names_no_incident_though_there_is_but_one(stack, command, name):
    store, _ = stack
    with pytest.raises(RejectedInputError, match="it is empty"):
        run(store, *command.split(), name)
    assert store.state.load_incident(INCIDENT).state == "open"


def test_an_id_with_blanks_around_it_is_the_id(stack):
    store, _ = stack
    assert INCIDENT in run(store, "incidents", "show", f" {INCIDENT}\n")


def test_an_id_that_is_not_known_says_where_else_it_may_be(stack):
    store, _ = stack
    with pytest.raises(RejectedInputError, match=r"another stack .*--replay"):
        run(store, "incidents", "show", "20200101")
    with pytest.raises(RejectedInputError, match=r"is none of rehearsal\.x; .*--replay rehearsal\.x"):
        run(store, "incidents", "show", INCIDENT, "--replay", "rehearsal.x")


def test_half_an_id_that_several_begin_with_names_them(stack):
    store, _ = stack
    incident = store.state.load_incident(INCIDENT)
    for number in range(4):
        other = msgspec.structs.replace(incident, incident_id=f"20261121T2034{number}", version=0)
        store.state.save_incident(other, OpenRecord(fingerprint=f"f{number}"), ())
    with pytest.raises(RejectedInputError, match=r"begins 5 ids \(20261121T.*, \.\.\.\); say more of it"):
        run(store, "incidents", "show", "20261121")


def test_half_an_id_that_also_begins_one_that_cannot_be_read_names_both_and_takes_neither(stack):
    store, world = stack
    lost = f"{INCIDENT[:15]}9Z-gone"
    world.state.items.write([Write(Item("incidents", lost, b"junk"), ANY_VERSION)])
    with pytest.raises(RejectedInputError, match=rf"begins 2 ids \(.*{lost} \(cannot be read\)\); say more"):
        run(store, "incidents", "resolve", INCIDENT[:15], "--reason", "x")
    assert store.state.load_incident(INCIDENT).state == "open"
    with pytest.raises(RejectedInputError, match=f"{lost}: has a line in the list, and nothing else"):
        run(store, "incidents", "show", lost[:-2])
    world.state.items.write([Write(Item(f"incident#{lost}", "meta", b"junk"), ANY_VERSION)])
    with pytest.raises(RejectedInputError, match="cannot be read"):
        run(store, "incidents", "show", lost[:-2])


def test_whoever_comes_second_hears_who_was_first(stack):
    store, _ = stack
    run(store, "incidents", "ack", INCIDENT, "--by", "ada")
    assert (
        run(store, "incidents", "ack", INCIDENT, "--by", "bob")
        == f"{INCIDENT}: already acknowledged by ada\n"
    )
    run(store, "incidents", "resolve", INCIDENT, "--by", "ada", "--reason", "x")
    for command in ("ack", "resolve --reason y"):
        told = json.loads(run(store, "incidents", *command.split(), INCIDENT, "--by", "bob", "--json"))
        assert told == {"incident_id": INCIDENT, "reason": "already_resolved", "by": "ada"}


def test_a_list_that_is_empty_by_its_filters_or_cut_off_says_so(stack):
    store, _ = stack
    assert (
        run(store, "incidents", "list", "--endpoint", "sings")
        == "No incident that fits; 1 without these filters.\n"
    )
    incident = store.state.load_incident(INCIDENT)
    other = msgspec.structs.replace(incident, incident_id="20261121T2035", version=0)
    store.state.save_incident(other, OpenRecord(fingerprint="f"), ())
    cut = CliRunner().invoke(cli, ["incidents", "list", "--limit", "1"], obj=store)
    assert (len(cut.stdout.splitlines()), cut.stderr) == (1, "The latest 1 of 2; --limit shows more.\n")
