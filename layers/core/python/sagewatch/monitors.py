"""monitors.yml, typed: which endpoints are watched, how, and who hears of it.

Parsed once, at packaging, with errors that name file, line and key; functions load the compiled JSON.
A key that nothing acts on yet is refused, never ignored.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from sagewatch.alerting import (
    TEST_RECEIVER,
    Receiver,
    SlackReceiver,
    list_heard,
    read_flapping,
    read_inhibition,
    read_receiver,
    read_routes,
    read_windows,
)
from sagewatch.capture import CaptureSpec
from sagewatch.capture.path import compile_path
from sagewatch.datapoints import Datapoints, read_m_of_n
from sagewatch.diagnose.model import MOST_ALARMS, Policy
from sagewatch.errors import ConfigurationError
from sagewatch.incident.flapping import Flapping
from sagewatch.incident.muting import Inhibition, Window
from sagewatch.incident.possible import Known
from sagewatch.incident.routing import Route
from sagewatch.interactivity import SlackApp, read_slack_app
from sagewatch.monitoring.policy import MODEL_MONITOR, MODES, SCHEDULERS, Quality
from sagewatch.monitoring.schedule import build_sagemaker_cron, build_scheduler_cron
from sagewatch.place import is_elsewhere, is_endpoint
from sagewatch.section import (
    NOTHING,
    Section,
    read_all,
    read_count,
    read_duration,
    read_optional,
    read_positive,
    read_share,
    read_switch,
    read_text,
)

VERSION: Final = 1
T = TypeVar("T")

_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]{0,1023}")


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
    patience
        How many batches must be bad before it is told, and good before it is over.
    clear_below
        While it is told, a batch is good only below this share.
    """

    threshold: float = 0.5
    per: timedelta | int = timedelta(hours=1)
    staged: bool = True
    patience: Datapoints = Datapoints()
    clear_below: float | None = None


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
    """One watched endpoint. Nothing is ever swapped that does not say so.

    Attributes
    ----------
    sensitive
        Fields of its inputs that no page, bundle or message may show.
    """

    owner: str = ""
    capture: Capture = Capture()
    detectors: Detectors = DEFAULT_DETECTORS
    diagnosis: Policy = Policy(mode="off")
    quality: Quality | None = None
    sensitive: tuple[str, ...] = ()


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


def read_monitors(path: Path) -> Monitors:
    """What a monitors.yml says.

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
    return parse_monitors(text, str(path))


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
    except yaml.YAMLError as error:
        raise ConfigurationError(f"is no YAML: {str(error).splitlines()[0]}", where=where) from None
    if node is None:
        raise ConfigurationError("is empty", where=where)
    return _read_monitors(Section(node, where, "", "monitors.yml"))


def _read_monitors(top: Section) -> Monitors:
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
    endpoints = read_all(named, "endpoint", _read_endpoint)
    for name in endpoints:
        if named and is_elsewhere(name):
            _expect_only_watched(name, endpoints[name], named)
    known = Known(tuple(endpoints))
    route = read_routes(top, receivers, known)
    for name in receivers:
        if listed is not None and name not in {*list_heard(route), TEST_RECEIVER}:
            raise listed.fail(name, "hears nothing: no route names it")
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


def _read_endpoint(section: Section) -> Endpoint:
    section.expect("owner", "capture", "detectors", "diagnosis", "quality", "sensitive")
    return Endpoint(
        owner=section.take("owner", read_text, ""),
        capture=_read_capture(section.section("capture", "capture")),
        detectors=_read_detectors(section.section("detectors", "detectors")),
        diagnosis=_read_diagnosis(section.section("diagnosis", "diagnosis")),
        quality=read_optional(section, "quality", _read_quality),
        sensitive=section.take("sensitive", _read_names, ()),
    )


def _read_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError("must be a list of names such as [customer_id]")
    return tuple(value)


def _read_capture(section: Section | None) -> Capture:
    if section is None:
        return Capture()
    section.expect("prediction", "confidence", "classes")
    plain = CaptureSpec()
    spec = CaptureSpec(
        prediction=section.take("prediction", _read_place, plain.prediction),
        confidence=section.take("confidence", _read_place_or_nothing, plain.confidence),
    )
    folder = Path(section.where).parent
    unnamed: dict[str, str] = {}
    classes = section.take("classes", lambda value: _read_classes(folder / read_text(value)), unnamed)
    return Capture(spec=spec, classes=classes)


def _read_detectors(section: Section | None) -> Detectors:
    if section is None:
        return DEFAULT_DETECTORS
    section.expect("class-concentration", "fixed-share", "confidence", "rejected", "no-data")
    return Detectors(
        class_concentration=read_optional(section, "class-concentration", _read_class_concentration),
        fixed_share=read_optional(section, "fixed-share", _read_fixed_share),
        confidence=read_optional(section, "confidence", _read_confidence),
        rejected=read_optional(section, "rejected", _read_rejected),
        no_data=read_optional(section, "no-data", _read_no_data),
    )


def _read_class_concentration(section: Section) -> ClassConcentration:
    section.expect("one_false_alarm_in", "baseline", "clear_after", "staged")
    return ClassConcentration(
        one_false_alarm_in=section.take("one_false_alarm_in", read_positive, 1_000_000),
        baseline=_read_baseline(section.section("baseline", "baseline")),
        clear_after=section.take("clear_after", read_positive, None),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_fixed_share(section: Section) -> FixedShare:
    section.expect("threshold", "per", "staged", "open_after", "clear_after", "clear_below")
    plain = FixedShare()
    threshold = section.take("threshold", read_share, 0.5)
    clear_below = section.take("clear_below", read_share, None)
    if clear_below is not None and clear_below > threshold:
        raise section.fail("clear_below", f"must not lie above threshold ({threshold:g})")
    return FixedShare(
        threshold=threshold,
        clear_below=clear_below,
        patience=_read_patience(section),
        per=section.take("per", _read_batch, plain.per),
        staged=section.take("staged", read_switch, default=plain.staged),
    )


def _read_patience(section: Section) -> Datapoints:
    bad, of = section.take("open_after", lambda value: read_m_of_n(read_text(value)), (1, 1))
    return Datapoints(bad=bad, of=of, good=section.take("clear_after", read_positive, 1))


def _read_confidence(section: Section) -> Confidence:
    section.expect("one_false_alarm_in", "baseline", "staged")
    baseline = section.section("baseline", "baseline")
    if baseline is not None and "file" in baseline.names():
        raise baseline.fail("file", "counts classes; mean confidence is learned from traffic")
    return Confidence(
        one_false_alarm_in=section.take("one_false_alarm_in", read_positive, 1_000_000),
        baseline=_read_baseline(baseline),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_rejected(section: Section) -> Rejected:
    section.expect("one_false_alarm_in", "staged")
    return Rejected(
        one_false_alarm_in=section.take("one_false_alarm_in", read_positive, 1_000_000),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_no_data(section: Section) -> NoData:
    section.expect("after", "staged")
    return NoData(
        after=section.take("after", _read_silence, None),
        staged=section.take("staged", read_switch, default=False),
    )


def _read_baseline(section: Section | None) -> Baseline:
    if section is None:
        return Baseline()
    section.expect("learn_from", "file")
    folder = Path(section.where).parent
    none: dict[str, int] = {}
    counts = section.take("file", lambda value: _read_counts(folder / read_text(value)), none)
    baseline = Baseline(
        learn_from=section.take("learn_from", read_positive, 0 if counts else 1000), counts=counts
    )
    if counts and baseline.learn_from:
        raise section.fail("file", "and learn_from exclude each other")
    return baseline


def _read_diagnosis(section: Section | None) -> Policy:
    plain = Policy(mode="off")
    if section is None:
        return plain
    section.expect(
        "mode", "observe", "cooldown", "per_day", "swap_within", "explain_within", "canary", "rollback_alarms",
        "region", "clean_inputs", "environment",
    )  # fmt: skip
    observe = section.section("observe", "observe")
    if observe is not None:
        observe.expect("requests", "at_most", "every", "megabytes")
        plain = msgspec.structs.replace(
            plain,
            requests=observe.take("requests", read_positive, plain.requests),
            at_most=observe.take("at_most", read_duration, plain.at_most),
            every=observe.take("every", read_positive, plain.every),
            megabytes=observe.take("megabytes", read_positive, plain.megabytes),
        )
    return msgspec.structs.replace(
        plain,
        mode=section.take("mode", _read_mode, "swap"),
        region=section.take("region", _read_region, plain.region),
        clean_inputs=section.take("clean_inputs", read_switch, plain.clean_inputs),
        environment=section.take("environment", _read_variables, plain.environment),
        swap_within=section.take("swap_within", read_duration, plain.swap_within),
        explain_within=section.take("explain_within", read_duration, plain.explain_within),
        cooldown=section.take("cooldown", read_duration, plain.cooldown),
        per_day=section.take("per_day", read_positive, plain.per_day),
        canary=section.take("canary", read_switch, plain.canary),
        rollback_alarms=section.take("rollback_alarms", _read_alarms, plain.rollback_alarms),
    )


def _read_quality(section: Section) -> Quality:
    section.expect("every", "scheduler", "baseline", "mode", "open_after", "clear_after")
    if "baseline" not in section.names():
        raise section.fail("baseline", "must say where statistics.json and constraints.json lie (s3://...)")
    plain = Quality(baseline=section.take("baseline", _read_s3_prefix, ""))
    scheduler = section.take("scheduler", lambda value: _read_one_of(value, SCHEDULERS), plain.scheduler)
    build_cron = build_sagemaker_cron if scheduler == MODEL_MONITOR else build_scheduler_cron
    every = section.take("every", lambda value: _read_rhythm(value, build_cron), plain.every)
    mode = section.take("mode", lambda value: _read_one_of(value, MODES), plain.mode)
    patience = _read_patience(section)
    return Quality(baseline=plain.baseline, every=every, scheduler=scheduler, mode=mode, patience=patience)


def _read_rhythm(value: Any, build_cron: Callable[[timedelta], str]) -> timedelta:
    every = read_duration(value)
    try:
        build_cron(every)
    except ConfigurationError as error:
        raise ValueError(error.reason) from None
    return every


def _read_s3_prefix(value: Any) -> str:
    text = read_text(value).rstrip("/")
    if not re.fullmatch(r"s3://[^/]+(/.+)?", text):
        raise ValueError(f"must be an S3 prefix such as s3://bucket/baseline, not {value!r}")
    return text


def _read_one_of(value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise ValueError(f"must be {' or '.join(known)}, not {value!r}")
    return str(value)


def _read_variables(value: Any) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(name, str) and _VARIABLE.fullmatch(name) for name in names):
        raise ValueError(
            "must be a list of names of environment variables, such as [MODEL_NAME]; never their values"
        )
    return names


def _read_alarms(value: Any) -> tuple[str, ...]:
    names = tuple(value) if isinstance(value, list) else (value,)
    if not all(isinstance(name, str) and name for name in names) or len(names) > MOST_ALARMS:
        raise ValueError(f"must be a list of at most {MOST_ALARMS} names of CloudWatch alarms")
    return names


def _read_place(value: Any) -> str | int:
    text = read_text(value)
    place = int(text) if text.isdecimal() else text
    try:
        compile_path(place)
    except ConfigurationError as error:
        raise ValueError(f"is {error.reason}: {text}") from None
    return place


def _read_place_or_nothing(value: Any) -> str | int | None:
    return None if value in NOTHING else _read_place(value)


def _read_mode(value: Any) -> str:
    if value not in {"swap", "replay", "off"}:
        raise ValueError(f"must be swap, replay or off, not {value!r}")
    return str(value)


def _read_region(value: Any) -> tuple[float, float, float, float]:
    sides = value if isinstance(value, list) else []
    try:
        left, top, right, bottom = (float(side) for side in sides)
    except (TypeError, ValueError):
        left = top = right = bottom = 0.0
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        example = "[0.1, 0.1, 0.9, 0.9]"
        raise ValueError(
            f"must be left, top, right, bottom in shares of the picture such as {example}, not {value!r}"
        )
    return left, top, right, bottom


def _read_batch(value: Any) -> timedelta | int:
    if isinstance(value, str) and value.replace("_", "").isdecimal():
        return read_positive(value)
    return read_duration(value)


def _read_silence(value: Any) -> timedelta | None:
    return None if value == "auto" else read_duration(value)


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
