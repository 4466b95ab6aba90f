"""The only reader of the environment: one frozen value, checked before the first event is handled."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from sagewatch.errors import ConfigurationError
from sagewatch.job_security import JobSecurity


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a function is told by its deployment (serverless.yml, ``environment``).

    Attributes
    ----------
    state_table, event_bus, evidence_bucket, capture_bucket, capture_prefix, alerts_topic_arn
        Names of what the stack made.
    chat_topic_arn
        The topic that Amazon Q Developer brings into chat channels.
    monitors_file
        Path of the compiled monitors.json, relative to the function's code.
    explain_image_uri, explain_role_arn, explain_instance_type
        How the saliency job is started.
    job_subnets, job_security_groups, job_volume_key, job_output_key
        Where the jobs that we start stand, and with whose keys they write (job_security.py).
    dashboard_url
        The CloudWatch dashboard that alerts link to; empty where there is none.
    alert_queue_url, alert_dead_letters_url
        The queue of deliver_alert and its dead letters; only that function writes to them.
    spoke_reader
        Name of the role that each spoke has for us, without its region; only ingest_report is told.
    runbooks_url
        Where the runbooks (docs/runbooks) are published, for links; empty where they are not.
    """

    region: str
    state_table: str
    event_bus: str
    evidence_bucket: str
    capture_bucket: str
    capture_prefix: str
    monitors_file: str
    alerts_topic_arn: str = ""
    explain_image_uri: str = ""
    explain_role_arn: str = ""
    explain_instance_type: str = "ml.t3.medium"
    job_subnets: str = ""
    job_security_groups: str = ""
    job_volume_key: str = ""
    job_output_key: str = ""
    dashboard_url: str = ""
    runbooks_url: str = ""
    chat_topic_arn: str = ""
    alert_queue_url: str = ""
    alert_dead_letters_url: str = ""
    spoke_reader: str = ""
    task_root: str = "."

    @property
    def job_security(self) -> JobSecurity:
        """What the account asks of every job."""
        return JobSecurity(
            subnets=self.job_subnets,
            security_groups=self.job_security_groups,
            volume_key=self.job_volume_key,
            output_key=self.job_output_key,
        )


_REQUIRED = (
    ("region", "AWS_REGION"),
    ("state_table", "STATE_TABLE"),
    ("event_bus", "EVENT_BUS"),
    ("evidence_bucket", "EVIDENCE_BUCKET"),
    ("capture_bucket", "CAPTURE_BUCKET"),
    ("capture_prefix", "CAPTURE_PREFIX"),
    ("monitors_file", "MONITORS_FILE"),
)
_OPTIONAL = (
    ("alerts_topic_arn", "ALERTS_TOPIC_ARN"),
    ("chat_topic_arn", "CHAT_TOPIC_ARN"),
    ("explain_image_uri", "EXPLAIN_IMAGE_URI"),
    ("explain_role_arn", "EXPLAIN_ROLE_ARN"),
    ("explain_instance_type", "EXPLAIN_INSTANCE_TYPE"),
    ("job_subnets", "JOB_SUBNETS"),
    ("job_security_groups", "JOB_SECURITY_GROUPS"),
    ("job_volume_key", "JOB_VOLUME_KEY"),
    ("job_output_key", "JOB_OUTPUT_KEY"),
    ("dashboard_url", "DASHBOARD_URL"),
    ("runbooks_url", "RUNBOOKS_URL"),
    ("alert_queue_url", "ALERT_QUEUE_URL"),
    ("alert_dead_letters_url", "ALERT_DEAD_LETTERS_URL"),
    ("spoke_reader", "SPOKE_READER"),
    ("task_root", "LAMBDA_TASK_ROOT"),
)


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises
    ------
    ConfigurationError
        A variable is missing; names it.
    """
    variables = os.environ if environment is None else environment  # noqa: TID251 (the one reader)
    values: dict[str, str] = {}
    for field, variable in _REQUIRED:
        if not variables.get(variable):
            raise ConfigurationError("is not set", where="environment", key=variable)
        values[field] = variables[variable]
    for field, variable in _OPTIONAL:
        if variables.get(variable):
            values[field] = variables[variable]
    return Settings(**values)
