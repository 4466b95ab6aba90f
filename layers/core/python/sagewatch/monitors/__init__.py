"""monitors.yml, typed: which endpoints are watched, how, and who hears of it. One module a part of the file; pure.

A key that nothing acts on yet is refused, never ignored.
"""

from __future__ import annotations

from sagewatch.monitors.detectors import ClassConcentration, Confidence, Detectors, NoData
from sagewatch.monitors.endpoints import Endpoint
from sagewatch.monitors.reading import Monitors, dump_monitors, load_monitors, parse_monitors, read_monitors
from sagewatch.monitors.receivers import TEST_RECEIVER, Receiver
from sagewatch.monitors.slack_app import SlackApp

__all__ = [
    "TEST_RECEIVER",
    "ClassConcentration",
    "Confidence",
    "Detectors",
    "Endpoint",
    "Monitors",
    "NoData",
    "Receiver",
    "SlackApp",
    "dump_monitors",
    "load_monitors",
    "parse_monitors",
    "read_monitors",
]
