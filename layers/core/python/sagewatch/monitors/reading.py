"""monitors.yml as a whole: parsed once, at packaging, with errors that name file, line and key; functions load the compiled JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from sagewatch.errors import ConfigurationError
from sagewatch.incident.flapping import Flapping
from sagewatch.incident.inhibition import Inhibition
from sagewatch.incident.muting import Window
from sagewatch.incident.possible import Known
from sagewatch.incident.routing import Route
from sagewatch.monitors.endpoints import Endpoint, read_endpoint
from sagewatch.monitors.nodes import check_nodes
from sagewatch.monitors.receivers import Receiver, SlackReceiver, read_receiver
from sagewatch.monitors.routes import read_flapping, read_inhibition, read_routes, read_windows
from sagewatch.monitors.slack_app import SlackApp, read_slack_app
from sagewatch.place import is_elsewhere, is_endpoint
from sagewatch.section import (
    Section,
    read_all,
    read_count,
    read_optional,
)

VERSION: Final = 1


class Monitors(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: int = VERSION
    endpoints: dict[str, Endpoint]
    route: Route
    receivers: dict[str, Receiver]
    inhibitions: tuple[Inhibition, ...] = ()
    windows: tuple[Window, ...] = ()
    flapping: Flapping = Flapping()
    slack: SlackApp | None = None

    @property
    def slack_receivers(self) -> dict[str, SlackReceiver]:
        """The receivers that hear in Slack, by name."""
        return {name: one.slack for name, one in self.receivers.items() if one.slack is not None}


def dump_monitors(monitors: Monitors) -> bytes:
    """The compiled form: equal settings give equal bytes."""
    return msgspec.json.encode(monitors, order="sorted")


def load_monitors(body: bytes, where: str) -> Monitors:
    """Read the compiled form back.

    Raises
    ------
    ConfigurationError
        The bytes are no compiled monitors file.
    """
    try:
        return msgspec.json.decode(body, type=Monitors)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"is no compiled monitors file: {error}", where=where) from None


def read_monitors(path: Path, *, played: bool = False) -> Monitors:
    """What a monitors.yml says; as ``parse_monitors`` takes it.

    Raises
    ------
    ConfigurationError
        It cannot be read, or is wrong; as ``parse_monitors`` says it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is no UTF-8 text (byte {error.start})", where=str(path)) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return parse_monitors(text, str(path), played=played)


def parse_monitors(text: str, where: str, *, played: bool = False) -> Monitors:
    """Read monitors.yml.

    Parameters
    ----------
    text
        The file's content.
    where
        The file's path, for messages; files that it names are found beside it.
    played
        It belongs to a recording: routes and escalations by which nobody hears are taken.

    Raises
    ------
    ConfigurationError
        Names file, line and key, and the nearest known key where one is unknown.

    Examples
    --------
    >>> sorted(parse_monitors("{version: 1, endpoints: {signs: {}}}", "monitors.yml").endpoints)
    ['signs']
    """
    import yaml  # noqa: PLC0415 (packaging needs it, the functions do not)

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigurationError(f"is no YAML: {error.problem}", where=where, line=line) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"is no YAML: {str(error).splitlines()[0]}", where=where) from None
    except RecursionError:
        raise ConfigurationError("is nested too deep", where=where) from None
    if node is None:
        raise ConfigurationError("is empty", where=where)
    check_nodes(node, where)
    return _read_monitors(Section(node, where, "", "monitors.yml"), played=played)


def _read_monitors(top: Section, *, played: bool) -> Monitors:
    top.expect("version", "endpoints", "routes", "receivers", "inhibit", "windows", "flapping", "slack")
    version = top.take("version", read_count, 0)
    if version != VERSION:
        raise top.fail("version", f"must be {VERSION}")
    listed = top.section("receivers", "receivers")
    receivers = read_all(listed, "receiver", read_receiver)
    named = top.section("endpoints", "endpoints")
    for name in named.names() if named else ():
        if named and not is_endpoint(name):
            raise named.fail(
                name,
                "is no endpoint name: up to 63 letters, digits and inner hyphens, "
                "and .ACCOUNT.REGION behind it where it is elsewhere",
            )
    endpoints = read_all(named, "endpoint", read_endpoint)
    for name in endpoints:
        if named and is_elsewhere(name):
            _expect_only_watched(name, endpoints[name], named)
    known = Known(tuple(endpoints))
    route = read_routes(top, receivers, known, played=played)
    return Monitors(
        endpoints=endpoints,
        route=route,
        receivers=receivers,
        inhibitions=tuple(read_inhibition(one, known) for one in top.sections("inhibit", "inhibit")),
        windows=tuple(read_windows(top.section("windows", "windows"), known)),
        flapping=read_flapping(top.section("flapping", "flapping")),
        slack=read_optional(top, "slack", read_slack_app),
    )


def _expect_only_watched(name: str, endpoint: Endpoint, named: Section) -> None:
    """Sagewatch has no right to touch what is in another account, and starts no jobs there."""
    if endpoint.diagnosis.mode != "off":
        raise named.fail(name, "is elsewhere: watched, never touched, so its diagnosis must have mode off")
    if endpoint.quality is not None:
        raise named.fail(name, "is elsewhere: its monitor is scheduled there, so it has no quality here")
