"""``Letters`` through SES. Source: SES API v2 reference, SendEmail (raw content, errors)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from botocore.exceptions import ClientError

from sagewatch.aws.client import ONCE, build_client, read_code, sorting_errors
from sagewatch.aws.deadline import AWS_SECONDS, within
from sagewatch.errors import DeliveryError

_HEALS = frozenset({"LimitExceededException", "SendingPausedException"})


class SesLetters:
    """Mails that are sent as they are.

    Parameters
    ----------
    seconds
        What one call may take.
    """

    def __init__(self, seconds: float = AWS_SECONDS) -> None:
        self._seconds = seconds
        self._client = build_client("sesv2", ONCE)

    def send_letter(self, receiver: str, sender: str, to: Sequence[str], raw: bytes) -> None:
        """Send; what SES refuses is a ``DeliveryError`` that says whether it can heal."""
        try:
            with sorting_errors():
                within(
                    self._seconds,
                    partial(
                        self._client.send_email,
                        FromEmailAddress=sender,
                        Destination={"ToAddresses": list(to)},
                        Content={"Raw": {"Data": raw}},
                    ),
                )
        except ClientError as error:
            code = read_code(error)
            raise DeliveryError(receiver, code, recoverable=code in _HEALS) from error
