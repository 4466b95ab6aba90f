"""monitors.yml, typed: which endpoints are watched, how, and who hears of it.

Parsed once, at packaging, with errors that name file, line and key; functions load the compiled JSON.
A key that nothing acts on yet is refused, never ignored.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from sagewatch.capture import CaptureSpec
from sagewatch.diagnose.model import Policy
from sagewatch.errors import ConfigurationError
from sagewatch.incident.routing import Route, parse_matcher

VERSION: Final = 1
SECRET_SCHEME: Final = "secret:"  # noqa: S105 (it marks a name)
MAIL_TOPIC: Final = "alerts"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LATER: Final = {
    "monitors.yml": ("inhibit", "windows"),
    "endpoint": ("quality", "sensitive"),
    "class-concentration": ("seasons",),
    "route": ("group_by", "group_wait", "group_interval", "repeat_interval"),
    "receiver": ("pagerduty", "webhook"),
    "slack": ("webhook",),
}
T = TypeVar("T")


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint's captures are read; ``classes`` names its classes, by class as it is answered."""

    spec: CaptureSpec = CaptureSpec()
    classes: dict[str, str] = {}


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """Where a detector's idea of normal comes from.

    Attributes
    ----------
    learn_from
        Learn from the first so many predictions; 0 where ``counts`` are given.
    counts
        Predictions by class, from a file.
    """

    learn_from: int = 1000
    counts: dict[str, int] = {}


class ClassConcentration(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the e-SR detector; ``clear_after`` clean predictions end an episode (None: by its own delay)."""

    one_false_alarm_in: int = 1_000_000
    baseline: Baseline = Baseline()
    clear_after: int | None = None
    staged: bool = False


class FixedShare(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the notebook's rule: one class above ``threshold`` of a batch of predictions.

    Attributes
    ----------
    per
        The batch: a stretch of the clock, or so many predictions.
    """

    threshold: float = 0.5
    per: timedelta | int = timedelta(hours=1)
    staged: bool = True


class Confidence(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the detector of a fallen mean confidence."""

    one_false_alarm_in: int = 1_000_000
    baseline: Baseline = Baseline()
    staged: bool = False


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the detector of unreadable records."""

    one_false_alarm_in: int = 1_000_000
    staged: bool = False


class NoData(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the watch for silence; ``after`` None goes by the stream's own rhythm."""

    after: timedelta | None = None
    staged: bool = False


class Detectors(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint is watched for; None is off."""

    class_concentration: ClassConcentration | None = None
    fixed_share: FixedShare | None = None
    confidence: Confidence | None = None
    rejected: Rejected | None = None
    no_data: NoData | None = None


DEFAULT_DETECTORS: Final = Detectors(
    class_concentration=ClassConcentration(), confidence=Confidence(), rejected=Rejected(), no_data=NoData()
)
"""What an endpoint is watched for that names no detectors."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One watched endpoint. Nothing is ever swapped that does not say so."""

    owner: str = ""
    capture: Capture = Capture()
    detectors: Detectors = DEFAULT_DETECTORS
    diagnosis: Policy = Policy(mode="off")


class SlackReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """A channel; ``token`` is the NAME of the secret that holds the bot token."""

    channel: str
    token: str
    api_url: str = "https://slack.com/api/"


class MailReceiver(msgspec.Struct, frozen=True, kw_only=True):
    """The stack's alerts topic, to which people subscribe."""

    topic: str = MAIL_TOPIC


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """Who hears, by which channels."""

    slack: SlackReceiver | None = None
    mail: MailReceiver | None = None


class Monitors(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    version: int = VERSION
    endpoints: dict[str, Endpoint]
    route: Route
    receivers: dict[str, Receiver]

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


def parse_monitors(text: str, where: str) -> Monitors:
    """Read monitors.yml.

    Parameters
    ----------
    text
        The file's content.
    where
        The file's path, for messages; files that it names are found beside it.

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
    if node is None:
        raise ConfigurationError("is empty", where=where)
    return _read_monitors(_Section(node, where, "", "monitors.yml"))


class _Section:
    """A mapping of the file: each key is taken once, what is left over is an error."""

    def __init__(self, node: Any, where: str, path: str, kind: str) -> None:
        self.where, self.path, self.kind, self.line = where, path, kind, node.start_mark.line + 1
        if node.id == "scalar" and node.value in {"", "~", "null"}:
            self._nodes: dict[str, Any] = {}
            return
        if node.id != "mapping":
            raise ConfigurationError("must be a mapping (key: value)", where=where, line=self.line, key=path)
        self._nodes = {}
        for key, value in node.value:
            if key.value in self._nodes:
                raise ConfigurationError(
                    "is given twice", where=where, line=key.start_mark.line + 1, key=self._name(key.value)
                )
            self._nodes[key.value] = value
        self._lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}

    def _name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def fail(self, key: str, reason: str) -> ConfigurationError:
        line = self._lines.get(key, self.line) if self._nodes or hasattr(self, "_lines") else self.line
        return ConfigurationError(reason, where=self.where, line=line, key=self._name(key))

    def names(self) -> list[str]:
        return list(self._nodes)

    def take(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """A scalar or list, read from its plain value; the reader's ValueError becomes the message."""
        node = self._nodes.pop(key, None)
        if node is None:
            return default
        try:
            return read(_plain(node))
        except ValueError as error:
            raise ConfigurationError(
                str(error), where=self.where, line=node.start_mark.line + 1, key=self._name(key)
            ) from None

    def section(self, key: str, kind: str) -> _Section | None:
        node = self._nodes.pop(key, None)
        return None if node is None else _Section(node, self.where, self._name(key), kind)

    def sections(self, key: str, kind: str) -> list[_Section]:
        node = self._nodes.pop(key, None)
        if node is None:
            return []
        if node.id != "sequence":
            raise self.fail(key, "must be a list")
        return [
            _Section(one, self.where, f"{self._name(key)}[{n}]", kind) for n, one in enumerate(node.value)
        ]

    def done(self, *known: str) -> None:
        """Every key was taken; else the first that was not is an error."""
        for key in self._nodes:
            if key in _LATER.get(self.kind, ()):
                raise self.fail(key, "is not supported yet; remove it")
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise self.fail(key, f"is not known here; {hint}")


def _plain(node: Any) -> Any:
    if node.id == "scalar":
        return node.value
    if node.id == "sequence":
        return [_plain(one) for one in node.value]
    return {key.value: _plain(value) for key, value in node.value}


def _read_monitors(top: _Section) -> Monitors:
    version = top.take("version", _read_count, 0)
    if version != VERSION:
        raise top.fail("version", f"must be {VERSION}")
    receivers = _read_all(top.section("receivers", "receivers"), "receiver", _read_receiver)
    endpoints = _read_all(top.section("endpoints", "endpoints"), "endpoint", _read_endpoint)
    route = _read_route(top.section("routes", "route"), receivers, top)
    top.done("version", "endpoints", "routes", "receivers")
    return Monitors(endpoints=endpoints, route=route, receivers=receivers)


def _read_all(section: _Section | None, kind: str, read: Callable[[_Section], T]) -> dict[str, T]:
    if section is None:
        return {}
    found = {}
    for name in section.names():
        inner = section.section(name, kind)
        if inner is not None:
            found[name] = read(inner)
    return found


def _read_endpoint(section: _Section) -> Endpoint:
    endpoint = Endpoint(
        owner=section.take("owner", _read_text, ""),
        capture=_read_capture(section.section("capture", "capture")),
        detectors=_read_detectors(section.section("detectors", "detectors")),
        diagnosis=_read_diagnosis(section.section("diagnosis", "diagnosis")),
    )
    section.done("owner", "capture", "detectors", "diagnosis")
    return endpoint


def _read_capture(section: _Section | None) -> Capture:
    if section is None:
        return Capture()
    plain = CaptureSpec()
    spec = CaptureSpec(
        prediction=section.take("prediction", _read_place, plain.prediction),
        confidence=section.take("confidence", _read_place, plain.confidence),
    )
    folder = Path(section.where).parent
    unnamed: dict[str, str] = {}
    classes = section.take("classes", lambda value: _read_classes(folder / _read_text(value)), unnamed)
    section.done("prediction", "confidence", "classes")
    return Capture(spec=spec, classes=classes)


def _read_detectors(section: _Section | None) -> Detectors:
    if section is None:
        return DEFAULT_DETECTORS
    detectors = Detectors(
        class_concentration=_read_optional(section, "class-concentration", _read_class_concentration),
        fixed_share=_read_optional(section, "fixed-share", _read_fixed_share),
        confidence=_read_optional(section, "confidence", _read_confidence),
        rejected=_read_optional(section, "rejected", _read_rejected),
        no_data=_read_optional(section, "no-data", _read_no_data),
    )
    section.done("class-concentration", "fixed-share", "confidence", "rejected", "no-data")
    return detectors


def _read_optional(section: _Section, key: str, read: Callable[[_Section], T]) -> T | None:
    inner = section.section(key, key)
    return None if inner is None else read(inner)


def _read_class_concentration(section: _Section) -> ClassConcentration:
    settings = ClassConcentration(
        one_false_alarm_in=section.take("one_false_alarm_in", _read_positive, 1_000_000),
        baseline=_read_baseline(section.section("baseline", "baseline")),
        clear_after=section.take("clear_after", _read_positive, None),
        staged=section.take("staged", _read_switch, default=False),
    )
    section.done("one_false_alarm_in", "baseline", "clear_after", "staged")
    return settings


def _read_fixed_share(section: _Section) -> FixedShare:
    plain = FixedShare()
    settings = FixedShare(
        threshold=section.take("threshold", _read_share, 0.5),
        per=section.take("per", _read_batch, plain.per),
        staged=section.take("staged", _read_switch, default=plain.staged),
    )
    section.done("threshold", "per", "staged")
    return settings


def _read_confidence(section: _Section) -> Confidence:
    settings = Confidence(
        one_false_alarm_in=section.take("one_false_alarm_in", _read_positive, 1_000_000),
        baseline=_read_baseline(section.section("baseline", "baseline")),
        staged=section.take("staged", _read_switch, default=False),
    )
    section.done("one_false_alarm_in", "baseline", "staged")
    return settings


def _read_rejected(section: _Section) -> Rejected:
    settings = Rejected(
        one_false_alarm_in=section.take("one_false_alarm_in", _read_positive, 1_000_000),
        staged=section.take("staged", _read_switch, default=False),
    )
    section.done("one_false_alarm_in", "staged")
    return settings


def _read_no_data(section: _Section) -> NoData:
    settings = NoData(
        after=section.take("after", _read_silence, None),
        staged=section.take("staged", _read_switch, default=False),
    )
    section.done("after", "staged")
    return settings


def _read_baseline(section: _Section | None) -> Baseline:
    if section is None:
        return Baseline()
    folder = Path(section.where).parent
    none: dict[str, int] = {}
    counts = section.take("file", lambda value: _read_counts(folder / _read_text(value)), none)
    baseline = Baseline(
        learn_from=section.take("learn_from", _read_positive, 0 if counts else 1000), counts=counts
    )
    section.done("learn_from", "file")
    if counts and baseline.learn_from:
        raise section.fail("file", "and learn_from exclude each other")
    return baseline


def _read_diagnosis(section: _Section | None) -> Policy:
    plain = Policy(mode="off")
    if section is None:
        return plain
    observe = section.section("observe", "observe")
    requests, at_most = plain.requests, plain.at_most
    if observe is not None:
        requests = observe.take("requests", _read_positive, requests)
        at_most = observe.take("at_most", read_duration, at_most)
        observe.done("requests", "at_most")
    policy = Policy(
        mode=section.take("mode", _read_mode, "swap"),
        requests=requests,
        at_most=at_most,
        cooldown=section.take("cooldown", read_duration, plain.cooldown),
        per_day=section.take("per_day", _read_positive, plain.per_day),
    )
    section.done("mode", "observe", "cooldown", "per_day")
    return policy


def _read_receiver(section: _Section) -> Receiver:
    receiver = Receiver(
        slack=_read_optional(section, "slack", _read_slack), mail=_read_optional(section, "mail", _read_mail)
    )
    section.done("slack", "mail")
    return receiver


def _read_slack(section: _Section) -> SlackReceiver:
    channel = section.take("channel", _read_text, "")
    token = section.take("token", _read_secret, "")
    if not channel or not token:
        raise section.fail("channel" if not channel else "token", "is missing")
    api_url = section.take("api_url", _read_text, "https://slack.com/api/")
    section.done("channel", "token", "api_url")
    return SlackReceiver(channel=channel, token=token, api_url=api_url)


def _read_mail(section: _Section) -> MailReceiver:
    topic = section.take("topic", _read_text, MAIL_TOPIC)
    if topic != MAIL_TOPIC:
        raise section.fail("topic", f"must be {MAIL_TOPIC}, the stack's own topic")
    section.done("topic")
    return MailReceiver(topic=topic)


def _read_route(section: _Section | None, receivers: Mapping[str, Receiver], above: _Section) -> Route:
    if section is None:
        if len(receivers) > 1:
            raise above.fail("routes", "is missing: there are several receivers, so say who hears what")
        return Route(receiver=next(iter(receivers), None))
    receiver = section.take("receiver", _read_text, None)
    if receiver is not None and receiver not in receivers:
        raise section.fail(
            "receiver", f"{receiver} is no receiver; there are {', '.join(receivers) or 'none'}"
        )
    route = Route(
        receiver=receiver,
        match=section.take("match", _read_matchers, ()),
        continue_=section.take("continue", _read_switch, default=False),
        routes=tuple(_read_route(one, receivers, section) for one in section.sections("routes", "route")),
    )
    section.done("receiver", "match", "continue", "routes")
    return route


def _read_text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _read_place(value: Any) -> str | int:
    text = _read_text(value)
    return int(text) if text.isdecimal() else text


def _read_count(value: Any) -> int:
    if not isinstance(value, str) or not value.replace("_", "").isdecimal():
        raise ValueError(f"must be a whole number such as 1000, not {value!r}")
    return int(value)


def _read_positive(value: Any) -> int:
    number = _read_count(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _read_share(value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 < share < 1:
        raise ValueError(f"must be a share between 0 and 1 such as 0.5, not {value!r}")
    return share


def _read_switch(value: Any) -> bool:
    if value not in {"true", "false"}:
        raise ValueError(f"must be true or false, not {value!r}")
    return bool(value == "true")


def _read_mode(value: Any) -> str:
    if value == "replay":
        raise ValueError("replay is not supported yet; swap or off")
    if value not in {"swap", "off"}:
        raise ValueError(f"must be swap or off, not {value!r}")
    return str(value)


def read_duration(value: Any) -> timedelta:
    """A duration such as ``30s``, ``20m``, ``1h`` or ``4d``.

    Raises
    ------
    ValueError
        It is none, or not above zero.

    Examples
    --------
    >>> read_duration("20m")
    datetime.timedelta(seconds=1200)
    """
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError(f"must be a duration such as 30s, 20m, 1h or 4d, not {value!r}")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])


def _read_batch(value: Any) -> timedelta | int:
    if isinstance(value, str) and value.replace("_", "").isdecimal():
        return _read_positive(value)
    return read_duration(value)


def _read_silence(value: Any) -> timedelta | None:
    return None if value == "auto" else read_duration(value)


def _read_secret(value: Any) -> str:
    text = _read_text(value)
    if not text.startswith(SECRET_SCHEME) or text == SECRET_SCHEME:
        raise ValueError("must name a secret as secret:NAME; the token itself never stands in this file")
    return text.removeprefix(SECRET_SCHEME)


def _read_matchers(value: Any) -> tuple[str, ...]:
    matchers = (value,) if isinstance(value, str) else tuple(value)
    for matcher in matchers:
        try:
            parse_matcher(matcher)
        except ConfigurationError as error:
            raise ValueError(f"{matcher}: {error.reason}") from None
    return matchers


def _read_classes(path: Path) -> dict[str, str]:
    names = {}
    for row in csv.DictReader(io.StringIO(_read_file(path))):
        if not row.get("ClassId") or not row.get("SignName"):
            raise ValueError(f"{path} must have the columns ClassId and SignName, filled in every row")
        names[row["ClassId"]] = row["SignName"]
    return names


def _read_counts(path: Path) -> dict[str, int]:
    try:
        return msgspec.json.decode(_read_file(path), type=dict[str, int])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path} must be a JSON object of counts by class: {error}") from None


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
