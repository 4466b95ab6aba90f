"""JSON Schemas of the events that Sagewatch publishes: ``python -m sagewatch.cli.event_schemas docs/reference/events``.

Written from the types that are sent, so they cannot say anything else; a test holds the files equal to the types, and
checks what the flows and the demo really sent against the files.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from sagewatch.events.facts import (
    ActionRequested,
    AlertDue,
    CaptureRejected,
    DiagnosisChanged,
    IncidentChanged,
)
from sagewatch.finding import SCHEMA, Finding

_INTERNAL = (
    "For Sagewatch itself, which wakes itself with it; it may come often, and may change in any version."
)
_EVENTS: dict[str, tuple[type, str]] = {
    "Capture Rejected": (
        CaptureRejected,
        "Lines of a capture file could not be read; `report` says which and why. The others count.",
    ),
    "Finding Raised": (
        Finding,
        "A detector raised a finding; `staged` ones are on trial and told to nobody.",
    ),
    "Finding Cleared": (
        Finding,
        "The evidence fell back, or (`no_longer_judged`) its detector was taken out or set anew; `cleared_at` says when.",
    ),
    "Incident Opened": (IncidentChanged, "An incident opened: somebody is told now."),
    "Incident Updated": (IncidentChanged, "It grew more severe, reopened, or its evidence changed."),
    "Incident Acknowledged": (IncidentChanged, "Somebody is on it."),
    "Incident Resolved": (
        IncidentChanged,
        "It is over, by the evidence, by hand, or as nothing judges it any more.",
    ),
    "Diagnosis Started": (
        DiagnosisChanged,
        "An endpoint is leased; with `mode: swap` it will be moved and moved back.",
    ),
    "Diagnosis Finished": (DiagnosisChanged, "The endpoint is as it was; `outcome` says how it went."),
    "Diagnosis Abandoned": (DiagnosisChanged, "Sagewatch keeps its hands off; `outcome` says why."),
    "Action Requested": (
        ActionRequested,
        "Somebody who may pressed a button in Slack; what came of it follows.",
    ),
    "Diagnosis Due": (DiagnosisChanged, _INTERNAL),
    "Alert Due": (AlertDue, _INTERNAL),
}
_NARROWER = {
    IncidentChanged: ("change", IncidentChanged.CHANGES),
    DiagnosisChanged: ("change", DiagnosisChanged.CHANGES),
}
_INTRO = f"""# Events on the bus

Written by `python -m sagewatch.cli.event_schemas docs/reference/events`; a test holds these files equal to the code, and checks
what is really sent against them.

Sagewatch publishes on its own bus (the stack's output `EventBus`), source `sagewatch`. Every detail says `schema` (now {SCHEMA}),
`account` and `region`: those of the endpoint. A field may be added in any version;
one that goes or changes its meaning raises `schema`. Delivery is at least once: `finding_id`, `incident_id` with `change`, and
of a capture `source` are what to remember. Payloads are never in an event: `samples` says where they lie.

| event | meaning | schema |
|---|---|---|
"""
_OUTRO = """
## Subscribing

A rule on the bus with a queue of yours as its target; nothing of Sagewatch's stack changes. This one hears of critical
incidents and of every endpoint that is about to be moved:

```json
{"source": ["sagewatch"], "$or": [
  {"detail-type": ["Incident Opened", "Incident Resolved"], "detail": {"severity": ["critical"]}},
  {"detail-type": ["Diagnosis Started"]}]}
```

In CloudFormation, beside your queue:

```yaml
OnCallRule:
  Type: AWS::Events::Rule
  Properties:
    EventBusName: sagewatch # the stack's output EventBus
    EventPattern:
      source: [sagewatch]
      detail-type: [Incident Opened, Incident Resolved]
      detail: {severity: [critical]}
    Targets:
      - {Id: queue, Arn: !GetAtt YourQueue.Arn, DeadLetterConfig: {Arn: !GetAtt YourDeadLetters.Arn}}
```

The queue's policy must let `events.amazonaws.com` send, with `aws:SourceArn` the rule's.
"""


def build_schema(name: str) -> dict[str, Any]:
    """The schema of one event as EventBridge delivers it, envelope and detail.

    Parameters
    ----------
    name
        The detail type.

    Examples
    --------
    >>> build_schema("Incident Opened")["properties"]["detail"]["properties"]["change"]
    {'const': 'opened'}
    """
    type_, meaning = _EVENTS[name]
    (detail,), definitions = msgspec.json.schema_components([type_], ref_template="#/$defs/{name}")
    for one in definitions.values():
        _describe(one)
    own = definitions.pop(detail["$ref"].rpartition("/")[2])
    if type_ in _NARROWER:
        field, _ = _NARROWER[type_]
        own["properties"][field] = {"const": name.split()[1].lower()}
    if name == "Finding Cleared":
        own["properties"]["cleared_at"] = {"type": "string", "format": "date-time"}
        own["required"] = [*own["required"], "cleared_at"]
    # Always sent; the code's defaults are for reading what an older version sent.
    own["required"] = sorted({*own["required"], "schema"})
    own["properties"]["schema"] = {"const": SCHEMA}
    text = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": meaning,
        "type": "object",
        "required": ["id", "source", "detail-type", "account", "region", "time", "detail"],
        "properties": {
            "version": text,
            "id": text,
            "source": {"const": "sagewatch"},
            "detail-type": {"const": name},
            "account": text,
            "region": text,
            "time": {"type": "string", "format": "date-time"},
            "resources": {"type": "array", "items": text},
            "detail": own,
        },
        **({"$defs": definitions} if definitions else {}),
    }


def _describe(schema: dict[str, Any]) -> None:
    """Hand each field its line of the type's docstring (numpydoc, "Attributes"), and leave the first line to the type."""
    text = inspect.cleandoc("\n" + schema.pop("description", ""))
    if text:
        schema["description"] = text.splitlines()[0]
    for names, told in re.findall(r"^([a-z_]+(?:, [a-z_]+)*)\n((?:    .*\n?)+)", text, re.MULTILINE):
        for name in names.split(", "):
            field = schema.get("properties", {}).get(name)
            if field is not None:
                field["description"] = " ".join(told.split())


def name_file(name: str) -> str:
    """``Incident Opened`` -> ``incident-opened.json``."""
    return f"{name.lower().replace(' ', '-')}.json"


def build_files() -> dict[str, str]:
    """Every file of the reference by its name."""
    files = {name_file(name): json.dumps(build_schema(name), indent=2) + "\n" for name in _EVENTS}
    rows = "".join(
        f"| {name} | {meaning} | [{name_file(name)}]({name_file(name)}) |\n"
        for name, (_, meaning) in _EVENTS.items()
    )
    return {**files, "README.md": _INTRO + rows + _OUTRO}


def main() -> None:
    """Write the reference into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in build_files().items():
        (folder / name).write_text(body, encoding="utf-8")


if __name__ == "__main__":
    main()
