"""A configuration is judged on recorded traffic: what it would find and send, how late, how often in vain."""

from __future__ import annotations

from datetime import timedelta

import pytest
from click.testing import CliRunner

from sagewatch.cli import cli
from sagewatch.cli.backtest import BacktestFailedError, load_captures
from sagewatch.errors import ConfigurationError
from sagewatch.monitors import parse_monitors
from sagewatch.replay.backtest import backtest, compare_backtests
from sagewatch.replay.injection import parse_injection
from sagewatch.replay.page import build_backtest_page
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
    assert (run.alerts, run.found, run.false_alarms_per_week) == (0, (), 0.0)


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
    assert (found.subject, found.wanted, run.missed, run.false_alarms) == ("2", True, False, 0)
    assert 0 < found.took <= 100
    assert found.at >= injection.start


def test_an_attack_too_small_to_be_seen_is_missed_and_said_so(folder):
    injection = parse_injection("class=2,share=0.01,from=2026-11-21T12:40Z")
    assert judge(folder, "clean", injection=injection).missed


def test_the_same_injection_changes_the_same_predictions(folder):
    injection = parse_injection("class=2,share=0.6,from=2026-11-21T12:40Z")
    assert judge(folder, "clean", injection=injection) == judge(folder, "clean", injection=injection)


@pytest.mark.parametrize(
    "text", ["class=14", "class=14,share=2,from=2026-01-01", "class=14,share=0.1,from=noon", "x=1"]
)
def test_an_injection_that_cannot_be_read_is_refused(text):
    with pytest.raises(ConfigurationError, match="--inject"):
        parse_injection(text)


def test_the_command_fails_where_more_would_be_sent_than_allowed(folder):
    arguments = ["backtest", str(folder / "attacked"), "--config", str(folder / "monitors.yml")]
    assert CliRunner().invoke(cli, [*arguments, "--max-alerts", "1"]).exit_code == 0
    failed = CliRunner().invoke(cli, [*arguments, "--max-alerts", "0"])
    assert isinstance(failed.exception, BacktestFailedError)
    assert "monitors.yml would send 1 alerts, more than 0" in str(failed.exception)


def test_the_page_holds_the_table_and_asks_nobody_for_anything(folder):
    runs = [judge(folder), judge(folder, monitors=STRICT, config="<script>b.yml")]
    page = build_backtest_page(runs, compare_backtests(*runs), "sagewatch backtest").decode()
    assert page.startswith("<!doctype html>")
    assert "Content-Security-Policy" in page
    assert "<script>b.yml" not in page
    assert "signs/AllTraffic class-concentration 14" in page
    assert page == build_backtest_page(runs, compare_backtests(*runs), "sagewatch backtest").decode()
