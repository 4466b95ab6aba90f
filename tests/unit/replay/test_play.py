"""A recording played again comes to the same, byte for byte, and nothing leaves the process."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from datetime import datetime, timedelta

import msgspec
import pytest
from click.testing import CliRunner

from sagewatch.cli import cli, main
from sagewatch.errors import ConfigurationError, RejectedInputError
from sagewatch.finding import Stream
from sagewatch.flows.streams import view_stream
from sagewatch.monitors import read_monitors
from sagewatch.replay.jobs import NOT_KEPT
from sagewatch.replay.load import build_player, load_recording
from sagewatch.replay.outcome import Difference, Told, compare, encode, gather
from sagewatch.replay.recording import FolderObjects, find_last_time, iterate_own
from sagewatch.replay.scene import load_story
from sagewatch.world import World
from tests.unit.replay.recordings import MONITORS, START, write_archive, write_captures


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return write_archive(tmp_path_factory.mktemp("archive"))


def play(*paths, **options):
    recording = load_recording(list(paths), options.get("captures"), options.get("monitors"))
    player = build_player(recording)
    player.play(options.get("events", recording.events))
    return recording, player, gather(player, len(recording.events))


def list_outside(world):
    """The ports of a world that lead out of this process."""
    ports = {name: getattr(world, name) for name in World.__dataclass_fields__}
    items = {"items": world.state.items}
    return [
        name for name, port in (ports | items).items() if type(port).__module__.startswith("sagewatch.aws")
    ]


def test_the_same_recording_gives_the_same_bytes_in_every_process(archive):
    """Neither the order of sets, which each process draws anew, nor the clock's zone is in it."""
    command = [
        sys.executable,
        "-c",
        "from sagewatch.cli import main; main()",
        "replay",
        str(archive),
        "--json",
    ]
    first, second = (
        subprocess.run(
            command,
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Pacific/Auckland"))
    )
    assert first == second == encode(play(archive)[2])


def test_a_recorded_incident_is_reproduced_with_its_fingerprint_and_reasons_and_nothing_is_sent(archive):
    recording, player, outcome = play(archive)
    assert compare(outcome, iterate_own(recording.events), recording.stories) == []
    assert list_outside(player.world) == []
    assert {message.kind for message in outcome.messages} >= {"firing", "resolved"}
    assert outcome.given_up == ()
    assert player.sagemaker.endpoints["signs"]["EndpointConfigName"] == "signs-config"


def test_another_recorded_story_is_told_apart(archive):
    outcome = play(archive)[2]
    story = load_story(archive, "incident.json")
    other = msgspec.structs.replace(story, incident=msgspec.structs.replace(story.incident, fingerprint="0"))
    assert [one.what for one in compare(outcome, [], [other])] == [
        f"fingerprint of {story.incident.incident_id}"
    ]


def test_what_was_played_and_never_recorded_is_a_difference(archive):
    recording, _, outcome = play(archive)
    own = list(iterate_own(recording.events))
    name = outcome.incidents[0].incident.incident_id
    silent = [event for event in own if not event["detail-type"].startswith(("Finding", "Incident"))]
    assert silent != []
    found, opened = compare(outcome, silent, [])
    assert (found.what, found.recorded) == ("findings", "none")
    assert opened == Difference(f"incident {name}", "not opened", "opened")
    other = msgspec.structs.replace(outcome.incidents[0].incident, incident_id="another")
    told = (*outcome.incidents, Told(incident=other, entries=()))
    more = msgspec.structs.replace(outcome, incidents=told)
    unknown = [Difference("incident another", "not opened", "opened")]
    assert compare(more, own, recording.stories) == compare(more, [], recording.stories) == unknown
    # An incident of which no story was kept, but that was opened then, too, is none.
    assert compare(outcome, own, []) == []
    # Captures alone tell of nothing.
    assert compare(outcome, [], []) == []


def test_a_monitoring_job_is_said_to_be_not_played_and_what_it_found_is_no_difference(archive, tmp_path):
    (tmp_path / "monitors.yml").write_text(MONITORS)
    recording, _, _ = play(archive)
    found = next(event for event in recording.events if event["detail-type"] == "Finding Raised")
    drift = {**found, "detail": {**found["detail"], "kind": "data-quality", "subject": "signs-schedule"}}
    name = "data-quality-monitoring-202611211200"
    job = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Processing Job State Change",
        "time": recording.events[0]["time"],
        "detail": {
            "ProcessingJobName": name,
            "ProcessingJobArn": f"arn:{name}",
            "ProcessingJobStatus": "Completed",
        },
    }
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in (job, job, drift)))
    played, _, outcome = play(tmp_path / "events.jsonl", monitors=tmp_path / "monitors.yml")
    assert outcome.unplayed == ((name, NOT_KEPT),)
    assert outcome.given_up == ()
    story = load_story(archive, "incident.json")
    incident = msgspec.structs.replace(story.incident.latest, kind="data-quality")
    drifted = msgspec.structs.replace(
        story, incident=msgspec.structs.replace(story.incident, findings=(incident,), kind="data-quality")
    )
    assert compare(outcome, iterate_own(played.events), [drifted]) == []
    result = CliRunner().invoke(cli, ["replay", str(tmp_path / "events.jsonl")])
    # Which `record` keeps where it can: without it this is no all-clear.
    assert (result.exit_code, f"not kept beside the events: {name}" in str(result.exception)) == (1, True)
    assert f"1 processing job not played: {NOT_KEPT} ({name})." in result.output


def test_captures_alone_are_a_recording(tmp_path):
    (tmp_path / "monitors.yml").write_text(MONITORS)
    folder = write_captures(tmp_path / "captures")
    _, _, outcome = play(folder, monitors=tmp_path / "monitors.yml")
    assert outcome.predictions == 560
    assert [told.incident.subject for told in outcome.incidents] == ["14"]


def test_events_that_were_doubled_and_came_in_another_order_find_the_same(archive):
    recording, _, straight = play(archive)
    events = [event for event in recording.events if event["source"] == "aws.s3"]
    shaken = []
    for start in range(0, len(events), 8):
        some = events[start : start + 8] * 2
        random.Random(start).shuffle(some)
        shaken += some
    outcome = play(archive, events=shaken)[2]
    last = {finding.finding_id: finding for finding in outcome.findings}
    assert last.keys() == {finding.finding_id for finding in straight.findings}
    assert all(finding.cleared_at for finding in last.values())


def test_detectors_that_stay_at_work_see_what_detectors_from_the_table_see(archive):
    """The replay's shortcut, against the way that the functions go."""
    recording, player, _ = play(archive)
    stream = Stream("signs", "AllTraffic")
    kept = view_stream(stream, player.world).folded
    plain = build_player(recording)
    object.__setattr__(plain.world, "folds", None)
    plain.play(recording.events)
    assert view_stream(stream, plain.world).folded.traces == kept.traces
    assert [e["detail"]["finding_id"] for e in plain.bus.events if e["detail-type"] == "Finding Raised"] == [
        e["detail"]["finding_id"] for e in player.bus.events if e["detail-type"] == "Finding Raised"
    ]


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("hours", [3, 60])
def test_an_attack_that_ends_in_a_pause_is_open_after_it_and_nothing_of_before_it_is_lost(
    tmp_path, hours, kept
):
    (tmp_path / "monitors.yml").write_text(
        MONITORS.replace("detectors: {", "detectors: {no-data: {after: 90h}, ")
    )
    folder = write_captures(tmp_path / "captures", after=0)
    later = START + timedelta(minutes=36, hours=hours)
    write_captures(folder, clean=0, attacked=40, after=0, seed=2, start=later)
    recording = load_recording([folder], None, tmp_path / "monitors.yml")
    player = build_player(recording)
    if not kept:
        object.__setattr__(player.world, "folds", None)
    player.play(recording.events)
    (told,) = gather(player, len(recording.events)).incidents
    assert (told.incident.subject, told.incident.resolved_at) == ("14", None)
    # Of the rhythm, too: every file, those before the pause among them, is folded once.
    folded = view_stream(Stream("signs", "AllTraffic"), player.world).folded
    assert folded._end.states["no-data"].files == 40
    assert folded.late == ()


def test_the_page_of_an_incident_of_hours_counts_all_captures_of_its_time(tmp_path):
    (tmp_path / "monitors.yml").write_text(MONITORS)
    folder = write_captures(tmp_path / "captures", attacked=1200)
    _, player, outcome = play(folder, monitors=tmp_path / "monitors.yml")
    (told,) = outcome.incidents
    assert told.incident.resolved_at - told.incident.opened_at > timedelta(minutes=110)
    key = f"incidents/{told.incident.incident_id}/index.html"
    with player.world.objects.open_object(player.world.settings.evidence_bucket, key) as page:
        text = re.sub(r"<[^>]+>", "", page.read().decode())
    said = re.search(
        r"Captures since ([\d:]+): ([\d,]+) predictions.*? in (\d+) files, the last at ([\d:]+)", text
    )
    first, last = (datetime.fromisoformat(f"2026-11-21T{said[n]}Z") for n in (1, 4))
    assert first + timedelta(minutes=110) < last
    # A file of ten each minute.
    minutes = (last - first) // timedelta(minutes=1) + 1
    assert (int(said[2].replace(",", "")), int(said[3])) == (minutes * 10, minutes)


def test_a_line_that_is_no_event_is_named(tmp_path):
    (tmp_path / "monitors.yml").write_text(MONITORS)
    path = tmp_path / "events.jsonl"
    path.write_text(
        json.dumps({"source": "a", "detail-type": "b", "time": "2026-01-01T00:00:00Z", "detail": {}})
        + "\n{}\n"
    )
    with pytest.raises(RejectedInputError, match=r"events\.jsonl, line 2"):
        play(path, monitors=tmp_path / "monitors.yml")


def test_a_replay_reads_nothing_outside_its_folder(tmp_path):
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "captures").mkdir()
    (tmp_path / "captures" / "mine").write_text("yours")
    objects = FolderObjects("bucket", tmp_path / "captures")
    with objects.open_object("bucket", "mine") as mine:
        assert mine.read() == b"yours"
    for key in ("../secret", "mine/../../secret", str(tmp_path / "secret"), "", ".", "mine\0"):
        assert objects.open_object("bucket", key) is None, key
    assert objects.open_object("other", "mine") is None


def test_the_last_record_is_found_also_behind_broken_and_very_long_lines(tmp_path):
    line = '{"captureData": {"endpointInput": {"data": "%s"}}, "eventMetadata": {"inferenceTime": "2026-11-20T10:00:0%dZ"}}'
    path = tmp_path / "one.jsonl"
    path.write_text("\n".join((line % ("x", 1), line % ("x" * 9000, 2), "{broken" + "x" * 9000, "")))
    assert find_last_time(path).second == 2
    path.write_text("nothing")
    assert find_last_time(path) is None


def copy_with(archive, folder, *, gone=0, events=None):
    """The archive again, without so many of its capture files, or with nothing but these events and no stories."""
    shutil.copytree(archive, folder)
    files = sorted((folder / "captures").rglob("*.jsonl"))
    for path in files[len(files) - gone :]:
        path.unlink()
    if events is not None:
        (folder / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
        scene = json.loads((folder / "scene.json").read_text())
        (folder / "scene.json").write_text(json.dumps({**scene, "stories": []}))
    return [path.relative_to(folder / "captures").as_posix() for path in files[len(files) - gone :]]


def test_captures_that_are_told_of_and_not_there_are_named_and_no_all_clear_is_given(archive, tmp_path):
    landed = [event for event in play(archive)[0].events if event["source"] == "aws.s3"]
    gone = copy_with(archive, tmp_path / "part", gone=40, events=landed)
    result = CliRunner().invoke(cli, ["replay", str(tmp_path / "part")])
    assert result.exit_code == 1
    told = f"40 capture files are not there: {gone[0]}, {gone[1]}, {gone[2]} and 37 more"
    assert told in result.output
    assert told in str(result.exception)
    assert "No incident in what was played." in result.output
    as_json = CliRunner().invoke(cli, ["replay", str(tmp_path / "part"), "--json"])
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["missing"] == gone


def test_a_recorded_incident_is_not_called_reproduced_of_a_part_of_its_captures(archive, tmp_path):
    (gone,) = copy_with(archive, tmp_path / "part", gone=1)
    result = CliRunner().invoke(cli, ["replay", str(tmp_path / "part")])
    assert result.exit_code == 1
    assert f"1 capture file is not there: {gone}" in result.output
    assert "is reproduced" not in result.output
    assert "is reproduced" in CliRunner().invoke(cli, ["replay", str(archive)]).output


@pytest.mark.parametrize("how", ["one level off", "no prediction in them"])
def test_captures_of_which_nothing_can_be_read_are_refused(archive, tmp_path, how, monkeypatch, capsys):
    copy_with(archive, tmp_path / "off")
    captures = tmp_path / "off" / "captures"
    if how == "one level off":
        captures.rename(tmp_path / "off" / "inner")
        captures.mkdir()
        (tmp_path / "off" / "inner").rename(captures / "inner")
    else:
        for path in captures.rglob("*.jsonl"):
            path.write_text("")
    monkeypatch.setattr("sys.argv", ["sagewatch", "replay", str(tmp_path / "off")])
    with pytest.raises(SystemExit) as left:
        main()
    said = capsys.readouterr()
    assert (left.value.code, said.out) == (2, "")
    assert ("56 capture files are not there" if how == "one level off" else "hold no prediction") in said.err


def test_a_recording_is_played_though_its_monitors_have_a_route_that_would_be_refused_today(tmp_path):
    takes_all = 'routes: {receiver: ml-on-call, routes: [{match: ["severity!=info"]}, {match: ["severity=critical"]}]}\n'
    (tmp_path / "monitors.yml").write_text(MONITORS + takes_all)
    with pytest.raises(ConfigurationError, match="never reached"):
        read_monitors(tmp_path / "monitors.yml")
    recording = load_recording([write_captures(tmp_path / "captures")], None, tmp_path / "monitors.yml")
    assert len(recording.monitors.route.routes) == 2
