"""What moto 5.2.5 lacks or does otherwise than AWS, one module a gap.

Each module has `fill()`, which changes moto inside the server's process, before the first request. Each has a
canary in tests/canary that fails, with a sentence, when a new moto behaves otherwise. moto is untyped, so are we
at its border.
"""

from __future__ import annotations


def fill(mail_port: int | None = None) -> None:
    """Fill every gap. Once, before the server answers: moto caches its list of CloudFormation types.

    Parameters
    ----------
    mail_port
        Where a mail server takes what SES sends.
    """
    from sagewatch.sandbox.moto_gaps import (
        archives,
        bucket_events,
        cloudformation_properties,
        cloudformation_stacks,
        cloudformation_types,
        event_buses,
        event_rules,
        mail_limits,
        message_moves,
        queues,
        source_mappings,
        transactions,
    )

    for gap in (
        cloudformation_types,
        cloudformation_properties,
        cloudformation_stacks,
        bucket_events,
        event_buses,
        event_rules,
        archives,
        source_mappings,
        queues,
        message_moves,
        transactions,
    ):
        gap.fill()
    mail_limits.fill(mail_port)
