"""The part of monitors.yml that says what is watched: endpoints, how their captures are read, what may be done to them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from sagewatch.capture import CaptureSpec
from sagewatch.capture.path import compile_path
from sagewatch.diagnose.model import MOST_ALARMS, Policy
from sagewatch.errors import ConfigurationError
from sagewatch.monitoring.policy import MODEL_MONITOR, MODES, SCHEDULERS, Quality
from sagewatch.monitoring.schedule import build_sagemaker_cron, build_scheduler_cron
from sagewatch.monitors.detectors import (
    DEFAULT_DETECTORS,
    Detectors,
    read_detectors,
    read_file,
    read_patience,
)
from sagewatch.section import (
    NOTHING,
    Section,
    read_at_most,
    read_duration,
    read_optional,
    read_positive,
    read_switch,
    read_text,
)

MOST_REQUESTS = 500
"""Of one diagnosis: the saliency job, its report and the page of the incident go by their number."""
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]{0,1023}")


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """How an endpoint's captures are read; ``classes`` names its classes, by class as it is answered."""

    spec: CaptureSpec = CaptureSpec()
    classes: dict[str, str] = {}


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


def read_endpoint(section: Section) -> Endpoint:
    """One endpoint, with all that is set for it."""
    section.expect("owner", "capture", "detectors", "diagnosis", "quality", "sensitive")
    return Endpoint(
        owner=section.take("owner", read_text, ""),
        capture=_read_capture(section.section("capture", "capture")),
        detectors=read_detectors(section.section("detectors", "detectors")),
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


def _read_classes(path: Path) -> dict[str, str]:
    names = {}
    for row in csv.DictReader(io.StringIO(read_file(path))):
        if not row.get("ClassId") or not row.get("SignName"):
            raise ValueError(f"{path} must have the columns ClassId and SignName, filled in every row")
        names[row["ClassId"]] = row["SignName"]
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
    return None if isinstance(value, str) and value in NOTHING else _read_place(value)


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
            requests=observe.take("requests", read_at_most(MOST_REQUESTS), plain.requests),
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


def _read_mode(value: Any) -> str:
    if value not in ("swap", "replay", "off"):
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


def _read_quality(section: Section) -> Quality:
    section.expect("every", "scheduler", "baseline", "mode", "open_after", "clear_after")
    if "baseline" not in section.names():
        raise section.fail("baseline", "must say where statistics.json and constraints.json lie (s3://...)")
    plain = Quality(baseline=section.take("baseline", _read_s3_prefix, ""))
    scheduler = section.take("scheduler", lambda value: _read_one_of(value, SCHEDULERS), plain.scheduler)
    build_cron = build_sagemaker_cron if scheduler == MODEL_MONITOR else build_scheduler_cron
    every = section.take("every", lambda value: _read_rhythm(value, build_cron), plain.every)
    mode = section.take("mode", lambda value: _read_one_of(value, MODES), plain.mode)
    patience = read_patience(section)
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
