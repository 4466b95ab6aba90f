"""What a month of Sagewatch costs, by service, and which quotas it comes near: from traffic and a table of prices. Pure.

Every number that is not a price is an assumption with a name and a sentence; those about our own work (reads and
writes of the table a file, sets of dimensions) are held against the flows by tests.
"""

from __future__ import annotations

from typing import Any

import msgspec

DAYS = 30
MINUTES = DAYS * 24 * 60
FUNCTIONS = 8
QUEUES = FUNCTIONS - 1
ALARMS = 2 * QUEUES + 2 * FUNCTIONS + 4
MILLION = 1e6
GB = 1e9


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What is watched."""

    endpoints: int
    predictions_per_day: int
    instances: int = 1
    incidents_per_month: int = 2
    architecture: str = "x86_64"
    job_instance: str = "ml.m5.xlarge"


class Assumption(msgspec.Struct, frozen=True):
    """A number that the estimate stands on."""

    value: float
    what: str


class Line(msgspec.Struct, frozen=True):
    """A service's part of the month, in the table's currency."""

    service: str
    month: float
    why: str


class Quota(msgspec.Struct, frozen=True):
    """A limit of a new account, and what is needed of it."""

    name: str
    needed: float
    default: float
    advice: str

    @property
    def is_near(self) -> bool:
        """Whether four fifths are needed."""
        return self.needed > 0.8 * self.default


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The month, what it stands on, and what an hourly monitoring job would cost instead.

    Attributes
    ----------
    captures
        What of the month is paid for captures lying in S3, which an hourly job needs as much.
    """

    lines: tuple[Line, ...]
    hourly_job: float
    captures: float
    quotas: tuple[Quota, ...]
    assumptions: dict[str, Assumption]

    @property
    def month(self) -> float:
        """All of it."""
        return sum(line.month for line in self.lines)

    @property
    def ratio(self) -> float:
        """How many times as much the hourly jobs cost as Sagewatch: the captures that both need counted in neither."""
        return self.hourly_job / (self.month - self.captures)


ASSUMPTIONS: dict[str, Assumption] = {
    "files_a_minute": Assumption(1, "capture files an instance writes a minute while it is called (SageMaker buffers about that long)"),
    "file_seconds": Assumption(0.3, "a capture file's share of an ingest_capture run, at 512 MB"),
    "tick_seconds": Assumption(0.5, "a tick, and 0.05 s more for each endpoint, at 256 MB"),
    "writes_a_file": Assumption(8, "write units of the table for a capture file: segment, stream, checkpoint (held by a test)"),
    "reads_a_file": Assumption(8, "read units of the table for a capture file (held by a test)"),
    "reads_a_tick": Assumption(6, "read units of the table for an endpoint each tick"),
    "row_bytes_a_file": Assumption(2000, "bytes in the table for a capture file, for two days"),
    "metrics_an_endpoint": Assumption(20, "sets of dimensions: 3 counts, up to 5 classes at a time (12 in a month), 5 detectors"),
    "log_bytes_a_file": Assumption(1500, "bytes of logs for a capture file, metrics included"),
    "bytes_a_prediction": Assumption(2000, "bytes captured for a prediction; images are more"),
    "kept_days": Assumption(90, "days that captures are kept"),
    "idle_polls": Assumption(15, "requests a minute by which Lambda polls an idle queue (five pollers, 20 s each)"),
    "events_an_incident": Assumption(12, "own facts for an incident: finding, incident, diagnosis, wake-ups"),
    "canary_minutes": Assumption(15, "minutes from one canary to the next (`canaryMinutes`); each is an incident that no person is told of"),
    "fact_seconds": Assumption(0.3, "a function's run for one fact of ours, at 256 MB"),
    "units_a_fact": Assumption(6, "read units of the table for a fact of ours, and as many write units"),
    "bytes_an_event": Assumption(1500, "bytes of an event in the archives"),
    "archive_days": Assumption(14, "days that the archives keep (`archiveRetentionDays`)"),
    "mails_an_incident": Assumption(4, "mails: firing and resolved for two people"),
    "explain_minutes": Assumption(10, "minutes that the saliency job's ml.m5.large is paid for, once an incident"),
    "traced_share": Assumption(0.05, "share of runs that X-Ray samples, beside one a second"),
    "monitor_minutes": Assumption(6, "minutes that an hourly monitoring job's instance is paid for, start-up included"),
}  # fmt: skip


def estimate(
    traffic: Traffic, prices: dict[str, Any], assumed: dict[str, Assumption] | None = None
) -> Estimate:
    """The estimate for a month of 30 days.

    Parameters
    ----------
    traffic
        What is watched; predictions are those of one endpoint.
    prices
        As ``prices/us-east-1.json`` has them.
    assumed
        Other assumptions; default: ``ASSUMPTIONS``.
    """
    told = assumed or ASSUMPTIONS
    a = {name: one.value for name, one in told.items()}
    files = _count_files(traffic, a)
    incidents = traffic.endpoints * traffic.incidents_per_month
    captured = traffic.endpoints * traffic.predictions_per_day * DAYS
    canaries = MINUTES / a["canary_minutes"]
    facts = (incidents + canaries) * a["events_an_incident"]
    invocations = files + MINUTES + facts
    archived = (files + facts) * a["bytes_an_event"] / GB
    gb_seconds = (
        0.25 * facts * a["fact_seconds"]
        + 0.5 * files * a["file_seconds"]
        + 0.25 * MINUTES * (a["tick_seconds"] + 0.05 * traffic.endpoints)
    )
    lines = (
        Line(
            "Lambda",
            invocations / MILLION * prices["lambda_requests_million"]
            + gb_seconds * prices[f"lambda_gb_second_{traffic.architecture}"],
            f"{invocations:,.0f} runs, {gb_seconds:,.0f} GB-s",
        ),
        _price_sqs(files, facts, prices, a),
        Line(
            "EventBridge",
            (files + facts) / MILLION * prices["eventbridge_events_million"]
            + (MINUTES + canaries) / MILLION * prices["scheduler_invocations_million"]
            + archived * prices["eventbridge_archive_gb"]
            + archived / DAYS * a["archive_days"] * prices["eventbridge_archive_gb_month"],
            f"{files:,.0f} capture events at the full price of opt-in events, our own facts, {canaries:,.0f} canaries among them, the schedules of "
            f"tick and canary, {archived:.2f} GB into the archives",
        ),
        _price_dynamodb(files, traffic.endpoints, facts, prices, a),
        _price_s3(files, captured, incidents, prices, a),
        _price_cloudwatch(files, traffic.endpoints, prices, a),
        Line(
            "X-Ray",
            min(invocations, MINUTES * 60.0) * a["traced_share"] / MILLION * prices["xray_traces_million"],
            "traces of the functions",
        ),
        Line(
            "SNS, Secrets Manager",
            incidents * a["mails_an_incident"] / 1000 * prices["sns_mails_thousand"]
            + prices["secrets_month"],
            f"{incidents * a['mails_an_incident']:,.0f} mails, one secret",
        ),
        Line(
            "SageMaker (saliency jobs)",
            incidents * a["explain_minutes"] / 60 * prices["processing_hour"]["ml.m5.large"],
            f"{incidents} jobs on ml.m5.large",
        ),
    )
    hourly = traffic.endpoints * DAYS * 24 * a["monitor_minutes"] / 60
    return Estimate(
        lines=lines,
        captures=_store_captures(captured, a) * prices["s3_gb_month"],
        hourly_job=hourly * prices["processing_hour"][traffic.job_instance],
        quotas=list_quotas(traffic, files, a, prices["quotas"]),
        assumptions=dict(told),
    )


def _count_files(traffic: Traffic, a: dict[str, float]) -> float:
    """Files of a month: one a minute and instance, or one a prediction where there are fewer."""
    a_day = min(a["files_a_minute"] * 24 * 60 * traffic.instances, traffic.predictions_per_day)
    return float(a_day * DAYS * traffic.endpoints)


def _price_sqs(files: float, facts: float, prices: dict[str, Any], a: dict[str, float]) -> Line:
    polls = QUEUES * a["idle_polls"] * MINUTES
    requests = polls + 3 * (files + MINUTES + facts)
    return Line(
        "SQS",
        requests / MILLION * prices["sqs_requests_million"],
        f"{polls:,.0f} requests by which Lambda waits on {QUEUES} queues, three a message",
    )


def _price_dynamodb(
    files: float, endpoints: int, facts: float, prices: dict[str, Any], a: dict[str, float]
) -> Line:
    units = facts * a["units_a_fact"]
    reads = files * a["reads_a_file"] + MINUTES * endpoints * a["reads_a_tick"] + units
    writes = files * a["writes_a_file"] + units
    stored = files / DAYS * 2 * a["row_bytes_a_file"] / GB
    month = (
        reads / MILLION * prices["dynamodb_read_units_million"]
        + writes / MILLION * prices["dynamodb_write_units_million"]
        + stored * (prices["dynamodb_gb_month"] + prices["dynamodb_pitr_gb_month"])
    )
    return Line("DynamoDB", month, f"{writes:,.0f} write and {reads:,.0f} read units, {stored:.2f} GB")


def _store_captures(captured: float, a: dict[str, float]) -> float:
    """GB of captures that lie in S3 at any time, of so many predictions a month."""
    return captured / DAYS * a["kept_days"] * a["bytes_a_prediction"] / GB


def _price_s3(
    files: float, captured: float, incidents: int, prices: dict[str, Any], a: dict[str, float]
) -> Line:
    stored = _store_captures(captured, a)
    month = (
        stored * prices["s3_gb_month"]
        + (files + incidents * 100) / 1000 * prices["s3_puts_thousand"]
        + files / 1000 * prices["s3_gets_thousand"]
    )
    return Line("S3", month, f"{stored:,.1f} GB of captures, which every way of monitoring needs")


def _price_cloudwatch(files: float, endpoints: int, prices: dict[str, Any], a: dict[str, float]) -> Line:
    metrics = endpoints * a["metrics_an_endpoint"] + 2  # DiagnosisOverdue, CanaryArrived
    alarms = ALARMS
    logs = (files * a["log_bytes_a_file"] + MINUTES * 800) / GB
    month = (
        metrics * prices["cloudwatch_metric_month"]
        + alarms * prices["cloudwatch_alarm_month"]
        + prices["cloudwatch_composite_alarm_month"]
        + 2 * prices["cloudwatch_dashboard_month"]
        + logs * (prices["logs_gb_ingested"] + prices["logs_gb_month"])
    )
    return Line(
        "CloudWatch",
        month,
        f"{metrics:,.0f} metrics, {alarms} alarms and one over them, 2 dashboards, {logs:.2f} GB of logs",
    )


def list_quotas(
    traffic: Traffic, files: float, a: dict[str, float], allowed: dict[str, float]
) -> tuple[Quota, ...]:
    """Limits that grow with traffic, each with what to do where it is near.

    Parameters
    ----------
    allowed
        ``quotas`` of the table: defaults of a new account, unless a file says what this one has.
    """
    files_a_second = files / (DAYS * 86400)
    busy = files_a_second * a["file_seconds"]
    return (
        Quota("Lambda: concurrent executions (10 in a new account, 1000 usual)", 28, allowed["lambda_concurrent_executions"],
              "a new account: Service Quotas, Lambda, before the first deployment"),
        Quota("ingest_capture: maximumConcurrency of its queue", round(busy, 2), 10,
              "raise maximumConcurrency of CaptureQueue in serverless.yml"),
        Quota("DynamoDB: write units a second of one stream's partition",
              round(files_a_second / max(1, traffic.endpoints) * a["writes_a_file"], 2),
              allowed["dynamodb_write_units_a_partition"],
              "one endpoint writes too many capture files; fewer instances or a lower sampling percentage"),
        Quota("SageMaker: ml.m5.large for processing job usage", min(traffic.endpoints, 5),
              allowed["processing_ml.m5.large"],
              "Service Quotas, SageMaker: one for each endpoint that may be explained at once; many accounts begin with 0"),
        Quota("EventBridge: rules on the default bus", 5, allowed["eventbridge_rules_a_bus"], "delete rules that nobody needs"),
        Quota("CloudWatch: alarms in a dashboard's region", ALARMS, allowed["cloudwatch_alarms_a_region"], ""),
    )  # fmt: skip
