"""From files to a player that is ready: an archive of the demo, files of events, or a folder of captures."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from sagewatch.capture.location import parse_key
from sagewatch.diagnose.plan import HOOKED_PREFIX
from sagewatch.errors import RejectedInputError
from sagewatch.monitors import Monitors, read_monitors
from sagewatch.replay.jobs import KeptJob, load_jobs
from sagewatch.replay.play import Player
from sagewatch.replay.recording import Event, FolderObjects, find_object, list_landings, load_events
from sagewatch.replay.redaction import ACCOUNT
from sagewatch.replay.sagemaker import JOB_CHANGE, find_subject
from sagewatch.replay.scene import (
    SCENE_FILE,
    HostedEndpoint,
    Scene,
    Story,
    find_beside,
    load_scene,
    load_story,
    read_beside,
)

EVENTS_FILE = "events.jsonl"


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be played.

    Attributes
    ----------
    events
        All that was recorded, Sagewatch's own facts included.
    folder
        Where files that the scene names lie; None where there is no scene.
    captures
        The folder of captures; None where there is none.
    stories
        How its incidents went.
    jobs
        Its monitoring jobs, with their reports.
    """

    scene: Scene
    monitors: Monitors
    events: tuple[Event, ...]
    folder: Path | None = None
    captures: Path | None = None
    stories: tuple[Story, ...] = ()
    jobs: tuple[KeptJob, ...] = ()


def load_recording(
    paths: list[Path], captures: Path | None, monitors: Path | None, prefix: str | None = None
) -> Recording:
    """Read a recording.

    Parameters
    ----------
    paths
        Files of events, or folders that hold ``events.jsonl``; what lies beside them (scene, captures,
        monitors.yml, jobs) is taken too. A folder without events is a folder of captures.
    captures, monitors
        In place of those beside the events.
    prefix
        Key prefix of captures, where the scene does not say.

    Raises
    ------
    RejectedInputError
        Nothing is there to be played, or a file cannot be read.
    ConfigurationError
        The monitors file is wrong.
    """
    files = [
        path / EVENTS_FILE if path.is_dir() and (path / EVENTS_FILE).is_file() else path for path in paths
    ]
    bare = [path for path in files if path.is_dir()]
    files = [path for path in files if path.is_file()]
    beside = next((path.parent for path in files if (path.parent / SCENE_FILE).is_file()), None)
    events = load_events(files)
    scene = load_scene(beside / SCENE_FILE) if beside else build_scene(events, prefix or "capture")
    folder = captures or (find_beside(beside, scene.captures) if beside else next(iter(bare), None))
    if beside and monitors is None:
        find_beside(beside, scene.monitors)
    file = monitors or _find_monitors(
        scene, [*([beside] if beside else []), *(path.parent for path in files), *bare]
    )
    if not file.is_file():
        raise RejectedInputError(
            "is not there; name the file that says what is watched: --monitors", where=str(file)
        )
    watched = read_monitors(file, played=True)
    if not files and folder is not None:
        events = list_landings(folder, scene.capture_bucket, scene.capture_prefix)
    if not events:
        raise RejectedInputError(
            "holds neither events nor captures", where=", ".join(map(str, paths)) or "nothing"
        )
    _need_captures(events, scene, folder)
    ended = {subject[1] for event in events if (subject := find_subject(event)) and subject[0] == JOB_CHANGE}
    return Recording(
        scene=_host_what_is_swapped(scene, watched),
        monitors=watched,
        events=tuple(events),
        folder=beside,
        captures=folder,
        stories=tuple(load_story(beside, name) for name in scene.stories) if beside else (),
        jobs=tuple(
            job
            for near in dict.fromkeys(file.parent for file in files)
            for job in load_jobs(near, scene.jobs, ended)
        ),
    )


def build_player(recording: Recording, monitors: Monitors | None = None) -> Player:
    """A player with the recording's captures and evidence; perhaps with other monitors."""
    scene = recording.scene
    objects = FolderObjects(scene.capture_bucket, recording.captures)
    if recording.folder is not None:
        for key, name in scene.evidence.items():
            body = read_beside(recording.folder, name)
            objects.put_object(scene.evidence_bucket, key, body, "application/json")
    return Player(monitors or recording.monitors, scene, objects, jobs=recording.jobs)


def build_scene(events: Iterable[Event], prefix: str) -> Scene:
    """The scene of events beside which none lies.

    Their buckets are those that captures and tensors came to; home is where Sagewatch's own facts, or else most events,
    come from.
    """
    scene = Scene(capture_prefix=prefix)
    buckets: dict[str, str] = {}
    places: Counter[tuple[bool, str, str]] = Counter()
    for event in events:
        if event.get("account") and event.get("region"):
            places[event["source"] == "sagewatch", str(event["account"]), str(event["region"])] += 1
        bucket, key = find_object(event)
        if bucket and key.startswith(f"{prefix}/"):
            buckets.setdefault("capture_bucket", bucket)
        elif bucket and key.startswith("tensors/"):
            buckets.setdefault("evidence_bucket", bucket)
    if places:
        # Of equally many, the first in the alphabet: a recording has one scene.
        _, account, region = min(places, key=lambda place: (not place[0], -places[place], place))
        scene = msgspec.structs.replace(scene, account=account, region=region)
    return msgspec.structs.replace(scene, **buckets)


def _find_monitors(scene: Scene, folders: Iterable[Path]) -> Path:
    """monitors.yml beside the events or among the captures, or here."""
    found = (folder / scene.monitors for folder in folders if (folder / scene.monitors).is_file())
    return next(found, Path("monitors.yml"))


def list_captured(recording: Recording) -> list[str]:
    """The endpoints of which capture files are told, by their own names."""
    found = set()
    for event in recording.events:
        bucket, key = find_object(event)
        if bucket != recording.scene.capture_bucket:
            continue
        with contextlib.suppress(RejectedInputError):
            found.add(parse_key(key, recording.scene.capture_prefix).stream.endpoint)
    return sorted(found)


def _need_captures(events: Iterable[Event], scene: Scene, folder: Path | None) -> None:
    """Events that tell of captures are worth nothing without them."""
    if folder is not None and folder.is_dir():
        return
    if any(find_object(event)[0] == scene.capture_bucket for event in events):
        # Of a recording the account is redacted, in its bucket's name too.
        bucket = "YOUR-CAPTURE-BUCKET" if ACCOUNT in scene.capture_bucket else scene.capture_bucket
        raise RejectedInputError(
            f"is not there, and the events tell of captures: aws s3 sync s3://{bucket} captures, "
            "and name the folder with --captures",
            where=str(folder or "the folder of captures"),
        )


def _host_what_is_swapped(scene: Scene, monitors: Monitors) -> Scene:
    """Endpoints that a diagnosis may swap stand somewhere; of those that nobody recorded, a plain one does."""
    missing = {
        name: _build_plain(name)
        for name, endpoint in monitors.endpoints.items()
        if endpoint.diagnosis.mode != "off" and name not in scene.hosting
    }
    return msgspec.structs.replace(scene, hosting={**scene.hosting, **missing})


def _build_plain(name: str) -> HostedEndpoint:
    model = f"{name}-model"
    if name.startswith(HOOKED_PREFIX):
        raise RejectedInputError("is a name that Sagewatch keeps for itself", where=f"endpoint {name}")
    variant = {"VariantName": "AllTraffic", "ModelName": model, "InitialInstanceCount": 1}
    return HostedEndpoint(
        config={
            "EndpointConfigName": f"{name}-config",
            "ProductionVariants": [variant],
            "DataCaptureConfig": {"EnableCapture": True},
        },
        model={"ModelName": model, "PrimaryContainer": {"Image": "image", "Environment": {}}},
    )
