"""Where a recording was made: what flows must know of that account to play it again.

``scene.json`` lies beside the recorded events; without one a scene is made from monitors.yml alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from sagewatch.errors import RejectedInputError
from sagewatch.incident.model import Entry, Incident

SCENE_FILE = "scene.json"


class HostedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's own configuration and model, as boto3 described them before anything happened."""

    config: dict[str, Any]
    model: dict[str, Any]


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as it was when the recording ended: what a replay must come to again."""

    incident: Incident
    entries: tuple[Entry, ...]


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a recording.

    Attributes
    ----------
    monitors, captures
        File and folder beside the scene; captures lie in it as in S3.
    jobs
        Folder beside the scene: its monitoring jobs and their reports (``replay.jobs``).
    hosting
        Endpoints that a diagnosis may touch.
    evidence
        Objects of the evidence bucket that something outside Sagewatch wrote: key, and file beside the scene.
    stories
        Files beside the scene, a ``Story`` each.
    """

    schema: int = 1
    account: str = "123456789012"
    region: str = "eu-west-1"
    capture_bucket: str = "captures"
    capture_prefix: str = "capture"
    evidence_bucket: str = "evidence"
    monitors: str = "monitors.yml"
    captures: str = "captures"
    jobs: str = "jobs"
    hosting: dict[str, HostedEndpoint] = {}
    evidence: dict[str, str] = {}
    stories: tuple[str, ...] = ()


def load_scene(path: Path) -> Scene:
    """Read a scene.

    Raises
    ------
    RejectedInputError
        The file is no scene.
    """
    try:
        scene = msgspec.json.decode(path.read_bytes(), type=Scene)
    except (OSError, msgspec.MsgspecError) as error:
        raise RejectedInputError(f"is no scene of a recording: {error}", where=str(path)) from None
    for name, hosted in scene.hosting.items():
        for what, key in ((hosted.config, "EndpointConfigName"), (hosted.model, "ModelName")):
            if not isinstance(what.get(key), str):
                raise RejectedInputError(f"has no {key}", where=str(path), key=f"hosting.{name}")
    return scene


def find_beside(folder: Path, name: str) -> Path:
    """Where a file or folder lies that a scene names beside itself.

    Raises
    ------
    RejectedInputError
        It lies outside: a scene may come from anybody, and what it names is read and shown.
    """
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RejectedInputError("must lie beside the scene", where=str(folder / SCENE_FILE), key=name)
    return path


def read_beside(folder: Path, name: str) -> bytes:
    """A file that a scene names beside itself.

    Raises
    ------
    RejectedInputError
        It cannot be read, or lies outside.
    """
    path = find_beside(folder, name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise RejectedInputError(f"cannot be read: {error.strerror}", where=str(path)) from None


def load_story(folder: Path, name: str) -> Story:
    """Read how an incident went, from beside its scene.

    Raises
    ------
    RejectedInputError
        The file is no story.
    """
    try:
        return msgspec.json.decode(read_beside(folder, name), type=Story)
    except msgspec.MsgspecError as error:
        raise RejectedInputError(f"is no story of an incident: {error}", where=str(folder / name)) from None
