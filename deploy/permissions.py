"""docs/permissions.md: every line of every role with its reason, from the compiled template.

``python -m deploy.permissions .build/dev/package > docs/permissions.md``; a contract test holds the page equal to the
template, and fails on a statement that has no reason here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from layers.package_stack import TEMPLATE
from layers.summarize_stack import list_attached, show

REASONS = {
    "DrainItsQueue": "Lambda takes the function's messages with the function's own role",
    "WriteItsLog": "its own log group, and no other",
    "Trace": "X-Ray knows no resources",
    "UseTheKey": "only where `kmsKeyArn` is given: read and write what that key encrypts",
    "ReadWithTheKey": "only where `kmsKeyArn` is given: a secret may be under it; nothing is written",
    "UseTheCapturesKey": "only where `captureKmsKeyArn` is given: the key of an existing capture bucket",
    "ReadCaptures": "the predictions to count; below the capture prefix only",
    "MissCaptures": 'without it S3 answers "forbidden" for an object that is merely gone',
    "KeepState": "the state table; nothing is ever deleted from it, rows expire",
    "TellFacts": "the bus of own facts",
    "ReportRejectedLines": "which lines could not be read and why, never what was in them; those of a rehearsal below its own prefix",
    "LookAtJobs": "any job may have been a monitor's: its name does not tell",
    "ReadReports": "reports, baselines and the captured inputs that a page shows, wherever in these two buckets they lie",
    "SeeWhetherThereIsAReport": 'without it S3 answers "forbidden" where there is no report',
    "KeepEvidence": "pages, bundles, recorded tensors; a presigned link carries the rights of the role that signed it",
    "LookAtEndpoints": "what is live, before anything is decided; the clone carries its original's tags",
    "SwapListedEndpoints": "the only right to change an endpoint: those listed, and to any configuration, for the way back is the owner's own",
    "ReadSpokes": "predictions of a hub's spokes to count, and captured inputs for pages, in the listed buckets",
    "MissInSpokes": 'without it S3 answers "forbidden" for an object of a spoke that is merely gone',
    "UseSpokesKeys": "only where a spoke is listed with its bucket's key",
    "LookAtSpokesJobs": "the reader that deploy/spoke.yml makes in each spoke; it describes jobs there and may nothing else",
    "SwapNothing": "no endpoint is listed, so it is denied outright",
    "LetItEncryptVolumes": "UpdateEndpoint asks for it in the caller's name where the endpoint's volumes have a key; only for SageMaker's resources",
    "WatchRollbackAlarms": "UpdateEndpoint looks at the alarms of a deployment in the caller's name; composite alarms need all",
    "MakeAndDeleteItsOwn": "the recording clone, named `sagewatch-*`; nothing else can be deleted",
    "Explain": "the saliency job, named `sagewatch-*`",
    "HandOverRoles": "the clone has its original's execution role, the job the stack's; to SageMaker only",
    "HandOverTheJobsRole": "the job's role, to SageMaker only",
    "Mail": "the topics of alerts, for mail and for the chat",
    "MailWithPictures": "mails through SES from this account's own identities, for receivers that ask for HTML; an identity with a default configuration set needs the right to both",
    "WakeItselfLater": "when a receiver's Retry-After is over; and to give up with the reason in words",
    "ReadItsSecrets": "tokens of receivers, below `secretPrefix` only",
    "ReadItsParameters": "the same tokens where they are kept in Parameter Store",
    "SeeWhetherCapturesWait": "an endpoint is not called silent while its captures lie there and wait to be counted",
    "AskSchedules": "a run without data has no job and no event: only the list tells of it; lists know no resources",
    "SeeCapturesAndBaselines": "no job is started where there is nothing to look at",
    "Monitor": "the monitoring job, named `sagewatch-monitor-*`",
    "WakeTick": "the minute's schedule wakes the tick, the canary's has it send one",
    "WakeStartMonitor": "schedules of endpoints wake start_monitor",
    "ReadEvidence": "jobs read tensors, requests to replay, names of classes, baselines",
    "WriteTensorsHeatMapsAndReports": "what jobs and recording models leave; no page and no manifest of an incident, but heat maps of any: a prefix of one is not known when the role is made. A report counts only if it names the incident's job and is, by its digest in the state table, the one that was told of; a picture only as the report lists it",
    "ReadAndWriteCaptures": "models write captures, jobs read them",
    "ListThem": "jobs copy prefixes",
    "LetJobsEncryptVolumes": "only where `jobVolumeKmsKeyArn` is given: SageMaker encrypts the jobs' volumes with it",
    "JoinTheNetwork": "only where `jobSubnets` are given: the jobs' network interfaces, also in subnets that another account shares",
    "SeeTheNetwork": "only where `jobSubnets` are given; descriptions know no resources",
    "Measure": "CloudWatch knows no resources here; the namespaces are what narrows it",
    "WriteItsLogs": "SageMaker's own log groups",
    "FetchItsImage": "the image of the jobs and of AWS's inference containers, which lie in AWS's accounts",
    "SignInToTheRegistry": "the action knows no resources",
}
_INTRO = """# Permissions, line by line

Written by `python -m deploy.permissions .build/dev/package > docs/permissions.md` from the compiled template; a test holds it
equal, another derives the actions of each function from its source and fails on one too few or too many
(`tests/contract/test_permissions.py`). No statement allows `*` as an action. `here` is the stack's own region and account.

Nobody but `AdvanceDiagnosisRole` can change an endpoint. To take that right away as well, deploy with `mode: off` or `replay`
in monitors.yml: the statement becomes a Deny. Where more endpoints are listed than the role has room for, policies of their own beside it
(`SwapMorePolicy1`, ...) hold the rest of the same statement. A hub of spokes has two more: `SpokeCapturesPolicy` reads the spokes' buckets (and
uses their keys), `SpokeJobsPolicy` lets `IngestReportRole` assume each spoke's reader ([hub and spokes](deploy.md#several-accounts-and-regions)). The page of such a stack,
`python -m deploy.permissions .build/STAGE/package`, lists them with the roles that they are attached to.
"""


def build_page(template: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    return _INTRO + "".join(_build_role(name, row) for name, row in _list_roles(template))


def list_sids(template: Mapping[str, Any]) -> set[str]:
    """The name of every statement."""
    return {row["Sid"] for _, role in _list_roles(template) for row in _list_statements(role)}


def _list_roles(template: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, row in sorted(template["Resources"].items()):
        if row["Type"] == "AWS::IAM::Role":
            attached = [policy for _, policy in list_attached(template, name)]
            yield name, {**row["Properties"], "Policies": [*row["Properties"]["Policies"], *attached]}


def _list_statements(role: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for policy in role["Policies"]:
        for row in policy["PolicyDocument"]["Statement"]:
            yield row["Fn::If"][1] if "Fn::If" in row else row


def _build_role(name: str, role: Mapping[str, Any]) -> str:
    (assumed,) = role["AssumeRolePolicyDocument"]["Statement"]
    rows = "".join(map(_build_row, _list_statements(role)))
    who = f"\n## {name}\n\nAssumed by `{assumed['Principal']['Service']}`.\n\n"
    return f"{who}| actions | on | why |\n|---|---|---|\n{rows}"


def _build_row(row: Mapping[str, Any]) -> str:
    actions = [row["Action"]] if isinstance(row["Action"], str) else row["Action"]
    resources = row["Resource"] if isinstance(row["Resource"], list) else [row["Resource"]]
    places = [re.sub(r"endpoint/(?!\*)[\w-]+", "endpoint/(listed)", show(one)) for one in resources]
    told = "<br>".join(f"`{one}`" for one in dict.fromkeys(places)).replace("|", "\\|")
    denied = "**denied:** " if row["Effect"] == "Deny" else ""
    return f"| {denied}{', '.join(f'`{one}`' for one in sorted(actions))} | {told} | {REASONS.get(row['Sid'], '')} |\n"


def main() -> None:
    """Print the page of the packaged stack that the command line names."""
    print(build_page(json.loads((Path(sys.argv[1]) / TEMPLATE).read_text())), end="")


if __name__ == "__main__":
    main()
