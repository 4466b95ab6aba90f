"""The link to the log opens the right group, the right stream and the right hours, or is not there."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import unquote

import msgspec
import pytest

from sagewatch.alert.log_query import build_log_query
from sagewatch.flows.evidence import build_links
from sagewatch.incident.describe import KINDS
from sagewatch.incident.describe_report import REPORT_KINDS
from tests.unit.flows.worlds import build_world
from tests.unit.incident.story import at, build_incident, resolve

JOB = "sagewatch-monitor-traffic-signs-20261121-20"


def read_detail(url):
    """What the console makes of it: its fields, and the groups to look at."""
    fragment = url.partition("#")[2].replace("$", "%")
    detail = unquote(unquote(fragment)).partition("queryDetail=")[2]
    assert re.fullmatch(r"~\(.*\)\)", detail)
    detail = re.sub(r"\*([0-9a-f]{2})", lambda one: chr(int(one[1], 16)), detail)
    fields, _, groups = detail.removeprefix("~(").removesuffix("))").partition("~source~(~'")
    return dict(re.findall(r"(\w+)~'([^~]*)", fields)), groups


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_query_that_the_console_reads(kind):
    incident = build_incident(kind=kind)
    url = build_log_query(incident, at(3600))
    assert re.fullmatch(r"https://[A-Za-z0-9.?=/#:$*-]+", url)
    fields, group = read_detail(url)
    assert fields["timeType"] == "ABSOLUTE"
    assert fields["end"] == "2026-11-21T21:49:05.000Z"
    if kind in REPORT_KINDS:
        assert group == "/aws/sagemaker/ProcessingJobs"
        assert f"filter @logStream like '{JOB}/'" in fields["editorString"]
    else:
        assert (group, fields["start"]) == (
            "/aws/sagemaker/Endpoints/traffic-signs",
            "2026-11-21T20:19:05.000Z",
        )
        assert "filter @logStream like 'AllTraffic/'" in fields["editorString"]


def test_what_is_over_is_not_searched_beyond_its_end():
    fields, _ = read_detail(build_log_query(resolve(build_incident()), at(864_000)))
    assert fields["end"] == "2026-11-21T20:55:45.000Z"


def test_the_latest_job_of_a_long_episode_is_looked_for_where_it_ran():
    late = at(0) + timedelta(days=30)
    fields, _ = read_detail(build_log_query(build_incident(kind="job-failed"), late))
    assert fields["start"] == "2026-12-19T20:49:05.000Z"


def test_an_endpoint_elsewhere_is_looked_for_under_its_own_name_in_its_own_region():
    incident = msgspec.structs.replace(
        build_incident(), endpoint="signs.210987654321.cn-north-1", region="cn-north-1"
    )
    url = build_log_query(incident, at(0))
    assert url.startswith("https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1#")
    assert read_detail(url)[1] == "/aws/sagemaker/Endpoints/signs"


@pytest.mark.parametrize("changes", [{"job": ""}, {"job": "a' or '"}])
def test_where_there_is_no_log_there_is_no_link(changes):
    assert build_log_query(build_incident(kind="job-failed", **changes), at(0)) is None


def test_what_is_told_of_an_incident_has_the_link():
    incident = build_incident()
    assert build_links(incident, at(0), build_world()).log == build_log_query(incident, at(0))
