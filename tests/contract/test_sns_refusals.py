"""What SNS refuses for good ends among the dead letters, not in a retry that cannot help."""

from __future__ import annotations

import pytest

from sagewatch.aws.sns import SnsMail
from sagewatch.errors import DeliveryError
from tests.aws_in_process import empty_aws

GONE = "arn:aws:sns:eu-west-1:123456789012:gone"


def test_a_topic_that_is_gone_refuses_for_good():
    with empty_aws():
        for send in (
            lambda: SnsMail(GONE).publish_mail("s", "b"),
            lambda: SnsMail(GONE, GONE).publish_chat({}),
        ):
            with pytest.raises(DeliveryError) as refused:
                send()
            assert not refused.value.recoverable
            assert refused.value.reason
