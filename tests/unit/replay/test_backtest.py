"""A configuration is judged on recorded traffic: what it would find and send, how late, how often in vain."""

from __future__ import annotations

import json
import random
import re
import shutil
from datetime import timedelta

import msgspec
import pytest
from click.testing import CliRunner

from sagewatch.cli import cli, main
from sagewatch.cli.backtest import BacktestFailedError, load_captures, name_files
from sagewatch.errors import ConfigurationError
from sagewatch.monitors import parse_monitors
from sagewatch.replay.backtest import backtest, compare_backtests, tell_false_alarms
from sagewatch.replay.injection import parse_injection
from sagewatch.replay.page import build_backtest_page
from sagewatch.replay.recording import list_landings
from tests.unit.flows.captures import PREFIX, build_line, draw_clean
from tests.unit.replay.recordings import MONITORS, START, write_captures

STRICT = MONITORS.replace(
    "{class-concentration: {baseline", "{class-concentration: {one_false_alarm_in: 10000000000000, baseline"
)
STAGED = MONITORS.replace("clear_after: 60}", "clear_after: 60, staged: true}")
# Files are a minute apart, ten predictions each; the attack begins with the 301st prediction.
ATTACK = START + timedelta(minutes=30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("week")
    (folder / "monitors.yml").write_text(MONITORS)
    (folder / "strict.yml").write_text(STRICT)
    write_captures(folder / "attacked")
    write_captures(folder / "clean", attacked=0, after=700)
    return folder


def judge(folder, which="attacked", monitors=MONITORS, config="a.yml", injection=None):
    recording = load_captures(folder / which, folder / "monitors.yml", "capture")
    return backtest(recording, parse_monitors(monitors, config), config, injection)


def test_it_says_what_would_have_been_sent_when_and_how_late(folder):
    run = judge(folder)
    (found,) = run.found
    assert (run.alerts, found.subject, found.sent) == (1, "14", True)
    assert ATTACK <= found.at <= ATTACK + timedelta(minutes=4)
    assert 0 < found.took <= 40
    assert found.cleared_at is not None
    assert run.predictions == 560


def test_clean_traffic_sends_nothing(folder):
    run = judge(folder, "clean")
    assert (run.alerts, run.found, run.false_alarms, run.false_alarms_per_week) == (0, (), 0, None)


def test_a_stricter_configuration_is_slower_by_so_many_predictions(folder):
    told = compare_backtests(judge(folder), judge(folder, monitors=STRICT, config="b.yml"))
    assert told[0] == "a.yml sends 1, b.yml sends 1."
    assert any(one.startswith("b.yml is ") and " slower on 2026-11-21" in one for one in told)


def test_a_detector_on_trial_finds_and_tells_nobody(folder):
    run = judge(folder, monitors=STAGED)
    assert (run.alerts, [found.sent for found in run.found]) == (0, [False])
    told = compare_backtests(judge(folder), run)
    assert "Only a.yml tells of signs class-concentration 14 on 2026-11-21." in told


def test_an_injected_attack_measures_the_delay_on_clean_traffic(folder):
    injection = parse_injection("class=2,share=0.6,from=2026-11-21T12:40Z,to=2026-11-21T12:55Z")
    run = judge(folder, "clean", injection=injection)
    (found,) = run.found
    assert (found.subject, found.wanted, run.missed, run.false_alarms) == ("2", True, (), 0)
    assert 0 < found.took <= 100
    assert found.at >= injection.start


def test_an_attack_too_small_to_be_seen_is_missed_and_said_so(folder):
    injection = parse_injection("class=2,share=0.01,from=2026-11-21T12:40Z")
    assert judge(folder, "clean", injection=injection).missed == ("signs",)


@pytest.mark.parametrize(
    ("share", "kinds", "wanted", "alerts"),
    [
        ("0.01", ["no-data"], [False], 1),
        ("0.9", ["class-concentration", "no-data"], [True, False], 2),
    ],
)
def test_a_pause_in_the_attack_is_not_the_attack(folder, tmp_path, share, kinds, wanted, alerts):
    """It changes classes: silence was there without it, and is a false alarm whether or not the attack is found."""
    shutil.copytree(folder / "clean", tmp_path / "paused")
    files = sorted((tmp_path / "paused").rglob("*.jsonl"))  # one a minute
    paused = files[55:90]
    for path in paused:
        path.unlink()
    monitors = MONITORS.replace("detectors: {", "detectors: {no-data: {after: 20m}, ")
    injection = parse_injection(f"class=2,share={share},from=2026-11-21T12:40Z")
    recording = load_captures(tmp_path / "paused", folder / "monitors.yml", "capture")
    run = backtest(recording, parse_monitors(monitors, "a.yml"), "a.yml", injection)
    assert [one.kind for one in run.found] == kinds
    assert [one.wanted for one in run.found] == wanted
    assert (len(paused), run.alerts, run.false_alarms, bool(run.missed)) == (35, alerts, 1, not any(wanted))


def test_the_same_injection_changes_the_same_predictions(folder):
    injection = parse_injection("class=2,share=0.6,from=2026-11-21T12:40Z")
    assert judge(folder, "clean", injection=injection) == judge(folder, "clean", injection=injection)


@pytest.mark.parametrize(
    "receivers",
    [
        MONITORS.split("receivers:")[1],
        # Who joins a group's message in Slack is told by a change in place, and by no message of its own.
        "\n  ops: {slack: {channel: '#ml', token: 'secret:sagewatch/slack'}}\nroutes: {receiver: ops, group_by: [kind]}\n",
        "\n  ops: {mail: {}}\nroutes: {receiver: ops, group_by: [kind]}\n",
    ],
    ids=["both", "slack-in-one-message", "mail-in-one-message"],
)
def test_an_attack_on_three_endpoints_found_three_times_is_no_false_alarm(folder, tmp_path, receivers):
    names = ("signs", "left", "right")
    for name in names:
        where = tmp_path / "capture" / name
        shutil.copytree(folder / "clean" / "capture" / "signs", where)
    signs = MONITORS.split("receivers:")[0].split("  signs:")[1]
    watched = MONITORS.replace(
        "  signs:" + signs, "".join(f"  {name}:{signs.replace('swap', 'off')}" for name in names)
    )
    (tmp_path / "monitors.yml").write_text(watched.split("receivers:")[0] + "receivers:" + receivers)
    recording = load_captures(tmp_path, tmp_path / "monitors.yml", "capture")
    injection = parse_injection("class=2,share=0.9,from=2026-11-21T12:40Z")
    run = backtest(recording, recording.monitors, "a.yml", injection)
    assert all(one.sent for one in run.found)
    assert [(one.endpoint, one.wanted) for one in sorted(run.found, key=lambda one: one.endpoint)] == [
        (name, True) for name in sorted(names)
    ]
    assert (run.alerts, run.false_alarms, run.missed) == (3, 0, ())


def test_a_gate_is_not_passed_by_one_endpoint_for_all(folder, tmp_path):
    """One is told of, one finds and tells nobody, one looks for something else: the last two are missed."""
    for name in ("signs", "left", "right"):
        shutil.copytree(folder / "clean" / "capture" / "signs", tmp_path / "capture" / name)
    learned = "baseline: {learn_from: 100}, clear_after: 60"
    (tmp_path / "monitors.yml").write_text(f"""
version: 1
endpoints:
  signs: {{detectors: {{class-concentration: {{{learned}}}}}}}
  left: {{detectors: {{class-concentration: {{{learned}, staged: true}}}}}}
  right: {{detectors: {{no-data: {{after: 2h}}}}}}
receivers: {{ops: {{mail: {{}}}}}}
""")
    page = tmp_path / "page.html"
    attack = "class=2,share=0.9,from=2026-11-21T12:40Z"
    gate = ["backtest", str(tmp_path), "--config", str(tmp_path / "monitors.yml"), "--inject"]
    failed = CliRunner().invoke(cli, [*gate, attack, "--out", str(page)])
    told = "monitors.yml misses the injected attack on left, right"
    assert (failed.exit_code, str(failed.exception)) == (1, f"{told}.")
    assert told in failed.output
    assert told in page.read_text()
    as_json = CliRunner().invoke(cli, [*gate, attack, "--json"])
    assert json.loads(as_json.stdout)["runs"][0]["missed"] == ["left", "right"]
    assert CliRunner().invoke(cli, [*gate, f"{attack},endpoint=signs"]).exit_code == 0


def test_the_delay_is_counted_from_the_first_attacked_prediction_within_its_file(tmp_path):
    """Six hundred predictions in each file of five minutes; the attack begins ten or thirty seconds before one's end."""
    predictions = draw_clean(6000, random.Random(5))
    for number in range(10):
        at = START + timedelta(minutes=5 * number)
        some = predictions[number * 600 : (number + 1) * 600]
        lines = [build_line(one, at + timedelta(seconds=n * 0.5), n) for n, one in enumerate(some)]
        name = f"{at:%M-%S}-000-00000000-0000-4000-8000-{number:012d}.jsonl"
        path = tmp_path / PREFIX / f"{at:%Y/%m/%d/%H}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    (tmp_path / "monitors.yml").write_text(MONITORS)
    recording = load_captures(tmp_path, tmp_path / "monitors.yml", "capture")
    took = {}
    for start in ("12:25:00", "12:29:30", "12:29:50"):
        injection = parse_injection(f"class=2,share=1,from=2026-11-21T{start}Z")
        (found,) = backtest(recording, recording.monitors, "a.yml", injection).found
        assert (found.wanted, found.position) == (True, 3600)
        took[start] = found.took
    # Two predictions a second, give or take one for times that are spread evenly.
    assert took["12:25:00"] == 600
    assert 58 <= took["12:29:30"] <= 60
    assert 18 <= took["12:29:50"] <= 20


def test_an_attack_within_one_capture_file_is_put_in(folder):
    """Files hold the seconds 0 to 9 of a minute; the attack is of its seconds 2 to 6."""
    injection = parse_injection("class=2,share=1,from=2026-11-21T12:50:02Z,to=2026-11-21T12:50:06Z")
    assert judge(folder, "clean", injection=injection).attacked == 4


def test_the_attack_reaches_the_last_prediction_of_a_file(folder):
    injection = parse_injection("class=2,share=1,from=2026-11-21T12:50:09Z,to=2026-11-21T12:50:30Z")
    assert judge(folder, "clean", injection=injection).attacked == 1


def test_one_episode_found_on_both_sides_of_midnight_is_one_that_came_later(folder):
    run = judge(folder)
    (one,) = run.found
    night = one.at.replace(hour=23, minute=59, second=54)
    early = msgspec.structs.replace(one, at=night, cleared_at=night + timedelta(minutes=20))
    late = msgspec.structs.replace(
        early, at=night + timedelta(seconds=30), position=one.position + 7, seconds=one.seconds + 30
    )
    first = msgspec.structs.replace(run, found=(early,))
    second = msgspec.structs.replace(run, config="b.yml", found=(late,))
    assert compare_backtests(first, second)[1:] == [
        "b.yml is 7 predictions slower on 2026-11-22 (signs class-concentration 14)."
    ]


def test_two_episodes_of_one_day_are_not_taken_for_one(folder):
    run = judge(folder)
    (one,) = run.found
    later = msgspec.structs.replace(
        one, at=one.at + timedelta(hours=5), cleared_at=one.cleared_at + timedelta(hours=5)
    )
    told = compare_backtests(run, msgspec.structs.replace(run, config="b.yml", found=(later,)))
    assert [sentence.split(" finds ")[0] for sentence in told[1:]] == ["Only a.yml", "Only b.yml"]
    both = compare_backtests(run, msgspec.structs.replace(run, config="b.yml", found=(later, one)))
    assert [sentence.split(" finds ")[0] for sentence in both[1:]] == ["Only b.yml"]


def test_files_of_one_name_are_told_apart_by_their_folders(folder, tmp_path):
    new, old = tmp_path / "new" / "monitors.yml", tmp_path / "old" / "monitors.yml"
    assert [name for _, name in name_files(new, old)] == [str(new), str(old)]
    assert [name for _, name in name_files(new, new.with_name("b.yml"))] == ["monitors.yml", "b.yml"]
    same = [name for _, name in name_files(new, new)]
    assert len(set(same)) == 2


def test_no_rate_is_made_of_less_than_a_day(folder):
    run = msgspec.structs.replace(judge(folder), alerts=1, false_alarms=1)
    assert tell_false_alarms(run) == ("1", "false alarm")
    page = build_backtest_page([run], [], "").decode()
    assert "false alarms a week" not in page
    assert "false alarm<" in page
    week = msgspec.structs.replace(run, false_alarms_per_week=2.5)
    assert "false alarms a week" in build_backtest_page([week], [], "").decode()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--config", "other.yml"], "watches none of the endpoints"),
        (["--config", "monitors.yml", "--against", "other.yml"], "other.yml, endpoints: watches none of"),
        (
            ["--config", "monitors.yml", "--inject", "class=2,share=1,from=2030-01-01"],
            "changes no prediction",
        ),
        (
            ["--config", "monitors.yml", "--inject", "class=2,share=1,from=2026-11-21,endpoint=nobody"],
            "changes no prediction of nobody",
        ),
        (
            ["--config", "monitors.yml", "--inject", "class=2,share=1,from=2026-11-21,to=2026-11-20"],
            "must be after from",
        ),
        (
            ["--config", "monitors.yml", "--inject", "class=2,share=1,from=0001-01-01T00:00+14:00"],
            "must be a time",
        ),
        (["--config", "binary.yml"], "is no UTF-8"),
        (["--config", "zero.yml"], "is no YAML"),
        (["--config", "monitors.yml", "--out", "monitors.yml/page.html"], "cannot be written"),
    ],
)
def test_what_cannot_be_judged_does_not_pass_the_gate(folder, options, told, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (folder / "other.yml").write_text("version: 1\nendpoints: {nobody-sends: {}}\n")
    (folder / "binary.yml").write_bytes(b"version: 1 \xff\n")
    (folder / "zero.yml").write_bytes(b"version: 1 \0\n")
    monkeypatch.setattr("sys.argv", ["sagewatch", "backtest", "clean", *options])
    with pytest.raises(SystemExit) as left:
        main()
    answer = capsys.readouterr().err
    assert (left.value.code, told in answer) == (2, True), answer


@pytest.mark.parametrize(
    "text",
    [
        "class=2,class=14,share=0.3,from=2026-01-01",
        "class=14",
        "class=14,share=2,from=2026-01-01",
        "class=14,share=0.1,from=noon",
        "x=1",
    ],
)
def test_an_injection_that_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigurationError, match="--inject"):
        parse_injection(text)


def test_the_command_fails_where_more_would_be_sent_than_allowed(folder):
    arguments = ["backtest", str(folder / "attacked"), "--config", str(folder / "monitors.yml")]
    assert CliRunner().invoke(cli, [*arguments, "--max-alerts", "1"]).exit_code == 0
    failed = CliRunner().invoke(cli, [*arguments, "--max-alerts", "0"])
    assert isinstance(failed.exception, BacktestFailedError)
    assert "monitors.yml would send 1 alert, more than 0" in str(failed.exception)


def test_a_name_that_turns_the_reading_direction_is_cleaned_in_the_drawing_too(folder):
    run = judge(folder)
    name = "night\u202egnp.\nyml"
    found = tuple(msgspec.structs.replace(one, endpoint="signs\u202e\nprod") for one in run.found)
    page = build_backtest_page([msgspec.structs.replace(run, config=name, found=found)], [], "").decode()
    assert found != ()
    assert "\u202e" not in page
    assert "signs prod" in page


def test_the_page_holds_the_table_and_asks_nobody_for_anything(folder):
    runs = [judge(folder), judge(folder, monitors=STRICT, config="<script>b.yml")]
    page = build_backtest_page(runs, compare_backtests(*runs), "sagewatch backtest").decode()
    assert page.startswith("<!doctype html>")
    assert "Content-Security-Policy" in page
    assert "<script>b.yml" not in page
    assert "signs/AllTraffic class-concentration 14" in page
    assert page == build_backtest_page(runs, compare_backtests(*runs), "sagewatch backtest").decode()


def test_a_gate_is_not_passed_on_a_part_of_the_captures(folder, tmp_path):
    """Events beside the captures tell of files that are not there."""
    captures = tmp_path / "night"
    shutil.copytree(folder / "clean", captures)
    files = sorted(captures.rglob("*.jsonl"))
    landings = list_landings(captures, "captures", "capture")
    (captures / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in landings))
    files[5].unlink()
    page = tmp_path / "page.html"
    arguments = ["backtest", str(captures), "--config", str(folder / "monitors.yml"), "--out", str(page)]
    failed = CliRunner().invoke(cli, arguments)
    gone = files[5].relative_to(captures).as_posix()
    assert (failed.exit_code, isinstance(failed.exception, BacktestFailedError)) == (1, True)
    for told in (failed.output, str(failed.exception), page.read_text().replace("<wbr>", "")):
        assert f"1 capture file is not there: {gone}" in told
    assert json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)["runs"][0]["missing"] == [gone]
    for path in files:
        path.unlink(missing_ok=True)
    nothing = CliRunner().invoke(cli, arguments)
    assert isinstance(nothing.exception, ConfigurationError)
    assert f"{len(files)} capture files are not there" in str(nothing.exception)


def test_the_page_says_of_what_it_is_how_it_was_made_and_on_what_its_figures_rest(folder, tmp_path):
    page, config = tmp_path / "page.html", folder / "monitors.yml"
    arguments = ["backtest", str(folder / "attacked"), "--config", str(config), "--out", str(page)]
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    text = page.read_text()
    assert f"sagewatch backtest {folder / 'attacked'} --config {config}" in text
    assert "if all of it was clean" in text
    # A file's name as a heading has the whole width.
    assert re.search(
        r'<section[^>]* class="wide"[^>]*><div class="aside"><h2[^>]*><bdi>monitors\.yml</bdi>', text
    )
