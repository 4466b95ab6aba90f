"""Where the evidence of an incident lies, and what of it others read and write: links, names of classes, configurations.

The page's key follows from the incident's id, so alerts link to it before it is finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec

from sagewatch.alert.content import Links
from sagewatch.alert.log_query import build_log_query
from sagewatch.diagnose.clone import withhold_environment
from sagewatch.incident.model import Incident
from sagewatch.place import name_console
from sagewatch.world import World

PRESIGNED_FOR = timedelta(hours=12)  # a role's session ends by then anyway
INDEX_KEY = "incidents/index.html"
CONFIGS = "endpoint-configs.json"
CLASSES = "classes.json"


def build_page_key(incident_id: str) -> str:
    """Where the incident's page lies in the evidence bucket."""
    return f"incidents/{incident_id}/index.html"


def build_configs_key(incident_id: str) -> str:
    """Where the endpoint's configurations, as they were before and during the swap, are kept."""
    return f"incidents/{incident_id}/{CONFIGS}"


def get_class_names(endpoint: str, world: World) -> dict[str, str]:
    """Names of the endpoint's classes; empty where monitors.yml names none."""
    watched = world.monitors.endpoints.get(endpoint)
    return dict(watched.capture.classes) if watched else {}


def build_links(incident: Incident, now: datetime, world: World) -> Links:
    """Where to read on about an incident."""
    bucket, region = world.settings.evidence_bucket, world.place.region
    key = build_page_key(incident.incident_id)
    console = _build_console(world)
    query = f"{{Sagewatch,Endpoint,Variant}} Endpoint={incident.endpoint}"
    return Links(
        page=build_object_url(key, world),
        presigned=world.objects.presign(bucket, key, int(PRESIGNED_FOR.total_seconds())),
        presigned_until=now + PRESIGNED_FOR,
        dashboard=world.settings.dashboard_url or None,
        metrics=f"{console}/cloudwatch/home?region={region}#metricsV2:graph=~();query=~'{_encode_query(query)}",
        log=build_log_query(incident, now),
        runbooks=world.settings.runbooks_url or None,
    )


def build_object_url(key: str, world: World) -> str:
    """An object of the evidence bucket in the AWS console: works after sign-in, and goes on working."""
    bucket, region = world.settings.evidence_bucket, world.place.region
    return f"{_build_console(world)}/s3/object/{bucket}?region={region}&prefix={quote(world.evidence_prefix + key)}"


def _build_console(world: World) -> str:
    return f"https://{name_console(world.place.region)}"


def load_file(incident_id: str, name: str, world: World) -> dict[str, bytes]:
    """A file of the bundle that was written before, by its name; nothing where there is none."""
    stream = world.objects.open_object(world.settings.evidence_bucket, f"incidents/{incident_id}/{name}")
    return {name: stream.read()} if stream else {}


def write_configs(
    incident_id: str, original: Mapping[str, Any], hooked: Mapping[str, Any], world: World
) -> None:
    """Keep what the swap changes: the hooked configuration is deleted at its end."""
    kept = {"original": withhold_environment(original), "hooked": withhold_environment(hooked)}
    body = json.dumps(kept, default=str, indent=2).encode()
    world.objects.put_object(
        world.settings.evidence_bucket, build_configs_key(incident_id), body, "application/json"
    )


def load_configs(incident_id: str, world: World) -> dict[str, Any]:
    """The configurations that `write_configs` kept; empty where nothing was swapped."""
    stream = world.objects.open_object(world.settings.evidence_bucket, build_configs_key(incident_id))
    return dict(json.loads(stream.read())) if stream else {}


def encode_class_names(names: Mapping[str, str]) -> dict[str, bytes]:
    """The names of the classes as they were at the time, for whoever reads the bundle without monitors.yml."""
    return {CLASSES: json.dumps(names, indent=1, ensure_ascii=False).encode()} if names else {}


def load_class_names(incident_id: str, world: World) -> dict[str, str]:
    """The names of the classes that the incident's bundle keeps; empty where it keeps none."""
    kept = load_file(incident_id, CLASSES, world)
    return read_class_names(kept[CLASSES]) if kept else {}


def read_class_names(body: bytes) -> dict[str, str]:
    """Names by class of a bundle's ``classes.json``; empty where it is none."""
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def write_classes(endpoint: str, world: World) -> str:
    """Give the saliency job the names of the classes; the key prefix, or nothing where there are no names."""
    names = get_class_names(endpoint, world)
    if not names:
        return ""
    rows = "".join(f'{number},"{name.replace(chr(34), chr(34) * 2)}"\r\n' for number, name in names.items())
    key = f"classes/{endpoint}/"
    body = f"ClassId,SignName\r\n{rows}".encode()
    world.objects.put_object(world.settings.evidence_bucket, f"{key}classes.csv", body, "text/csv")
    return key


def _encode_query(query: str) -> str:
    """CloudWatch's own encoding in links: percent signs written as asterisks."""
    return quote(query, safe="").replace("%", "*")
