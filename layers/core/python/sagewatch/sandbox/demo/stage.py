"""What the story is played on: the packaged stack on the local AWS, a mailbox, a Slack, an event log."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

from sagewatch.sandbox.demo.recorder import Recorder
from sagewatch.sandbox.errors import PortInUseError, SandboxError
from sagewatch.sandbox.inbox import Inbox
from sagewatch.sandbox.local_aws import LocalAws
from sagewatch.sandbox.mail_server import MailServer
from sagewatch.sandbox.sagemaker.service import SageMakerSettings
from sagewatch.sandbox.slack import Slack

# The Slack's address is part of the packaged monitors file: the same port each time lets the package be reused.
SLACK_PORT = 18471
SLACK_SECRET = "sagewatch/slack"
SLACK_SIGNING_SECRET = "sagewatch/slack-signing"
TEMPLATE = "cloudformation-template-update-stack.json"
SIGNNAMES = Path(__file__).parents[1] / "signnames.csv"
MONITORS = Path(__file__).parent / "monitors.yml"
Say = Callable[[str], None]


class RepositoryNotFoundError(SandboxError):
    """The demo packages the stack from its sources, which must be at hand."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} holds no serverless.yml: run the demo from the repository's root.")
        self.folder = folder


class PackagingError(SandboxError):
    """osls did not package the stack."""

    def __init__(self, said: str) -> None:
        super().__init__(f"The stack could not be packaged: {said.strip() or 'no reason was given'}")
        self.said = said


class OutputError(SandboxError):
    """The folder for the demo's output cannot be had."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder} {reason}: name another folder with --out.")
        self.folder = folder


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everything that runs.

    Attributes
    ----------
    outputs
        The stack's outputs by name.
    """

    aws: LocalAws
    slack: Slack
    inbox: Inbox
    recorder: Recorder
    outputs: dict[str, str]
    root: Path
    out: Path


@contextmanager
def set_up(
    root: Path, out: Path, slack_port: int | None, say: Say, *, monitors: Path = MONITORS
) -> Iterator[Stage]:
    """Package, start, deploy; and take everything down at the end.

    Parameters
    ----------
    monitors
        What is watched: a template in which `$slack_url` stands for the local Slack's address.

    Raises
    ------
    SandboxError
        Something cannot start; the message says what to do.
    """
    if not (root / "serverless.yml").is_file():
        raise RepositoryNotFoundError(root)
    with _alone_in(out), _stand_up(root, out, slack_port, say, monitors) as stage:
        yield stage


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Hold the output folder for this demo, or say who cannot."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".lock").open("w")
    except OSError as error:
        raise OutputError(out, f"cannot be written to ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(out, "is being written to by another demo") from None
        yield


@contextmanager
def _stand_up(root: Path, out: Path, slack_port: int | None, say: Say, monitors: Path) -> Iterator[Stage]:
    for old in ("slack", "mail", "heatmaps", "captures"):
        shutil.rmtree(out / old, ignore_errors=True)
    work = out / ".sandbox"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    with ExitStack() as stack:
        slack = stack.enter_context(_open_slack(out / "slack", slack_port))
        say("packaging serverless.yml with osls")
        package = package_stack(root, work, slack, monitors)
        say("starting the local AWS")
        mail = stack.enter_context(MailServer(out / "mail"))
        settings = SageMakerSettings(capture_flush_records=10)
        aws = stack.enter_context(LocalAws(work, sagemaker=settings, mail_port=mail.port))
        say("deploying the stack")
        outputs = aws.deploy(package / TEMPLATE, package)
        secrets = aws.client("secretsmanager")
        secrets.create_secret(Name=SLACK_SECRET, SecretString=slack.token)
        secrets.create_secret(Name=SLACK_SIGNING_SECRET, SecretString=slack.signing_secret)
        inbox = Inbox(aws, outputs["AlertsTopicArn"], mail)
        inbox.start()
        stack.callback(inbox.stop)
        recorder = Recorder(aws, outputs["EventBus"], out / "events.jsonl")
        recorder.start()
        stack.callback(recorder.stop)
        aws.start_functions()
        slack.interactivity_url = aws.find_function_url("slack_action")
        yield Stage(aws=aws, slack=slack, inbox=inbox, recorder=recorder, outputs=outputs, root=root, out=out)


def package_stack(root: Path, work: Path, slack: Slack, template: Path = MONITORS) -> Path:
    """The directory of osls's packages; made anew only when something in them changed.

    It is kept apart by story and by the Slack's port, which the package names: two demos at once do not meet.
    """
    label = f"local-{template.stem}-{slack.port}"
    monitors = work / "monitors.yml"
    filled = Template(template.read_text(encoding="utf-8")).safe_substitute(slack_url=slack.url)
    monitors.write_text(filled, encoding="utf-8")
    shutil.copy(SIGNNAMES, work / "signnames.csv")
    command = [
        sys.executable, "-m", "layers.package_stack", "--stage", "local", "--label", label, "--monitors", str(monitors),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackagingError(done.stderr or done.stdout)
    return root / ".build" / label / "package"


def _open_slack(directory: Path, port: int | None) -> Slack:
    if port is not None:
        return Slack(directory, port=port)
    try:
        return Slack(directory, port=SLACK_PORT)
    except PortInUseError:
        return Slack(directory)
