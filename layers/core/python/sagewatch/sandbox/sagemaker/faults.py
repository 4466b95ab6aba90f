"""What the local SageMaker is told to do wrong, and how often: the failures that the product must live with."""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass


class Fault(enum.StrEnum):
    """A way to go wrong."""

    THROTTLE = "throttle"  # an operation answers ThrottlingException
    DENY = "deny"  # an operation answers AccessDeniedException
    REFUSE_UPDATE = "refuse-update"  # UpdateEndpoint answers ValidationException
    REFUSE_DEPLOYMENT = "refuse-deployment"  # the same, where it is given a DeploymentConfig
    SLOW_UPDATE = "slow-update"  # an update takes `seconds` longer
    SILENT_ROLLBACK = "silent-rollback"  # an update ends InService with the OLD config
    FAIL_JOB = "fail-job"  # a processing job fails before its program starts
    HANG_JOB = "hang-job"  # a processing job's program never ends
    JOB_WITHOUT_OUTPUTS = "job-without-outputs"  # a job completes, and nothing is uploaded
    LOSE_EVENT = "lose-event"
    DOUBLE_EVENT = "double-event"
    DELAY_EVENT = "delay-event"  # by `seconds`
    SHUFFLE_EVENT = "shuffle-event"  # delayed by a random part of `seconds`: events overtake each other


@dataclass(slots=True)
class Injected:
    """A fault that waits to happen. `times` None: always."""

    fault: Fault
    times: int | None
    operation: str | None
    seconds: float


class Faults:
    """The faults that wait to happen; usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Injected] = []

    def inject(
        self, fault: Fault, *, times: int | None = 1, operation: str | None = None, seconds: float = 0.0
    ) -> None:
        """Let something go wrong the next `times` times (None: from now on).

        Parameters
        ----------
        operation
            For `THROTTLE` and `DENY`: the API operation; None means any.
        seconds
            For what is slow or late.
        """
        with self._lock:
            self._waiting.append(Injected(fault, times, operation, seconds))

    def take(self, fault: Fault, operation: str | None = None) -> Injected | None:
        """The fault if it is due now, and count it; None otherwise."""
        with self._lock:
            for waiting in self._waiting:
                if waiting.fault is not fault or waiting.operation not in {None, operation}:
                    continue
                if waiting.times is not None:
                    waiting.times -= 1
                    if waiting.times <= 0:
                        self._waiting.remove(waiting)
                return waiting
        return None

    def waiting(self) -> list[dict[str, str | int | float | None]]:
        """What has not happened yet, as the admin route shows it."""
        with self._lock:
            return [
                {
                    "fault": item.fault,
                    "times": item.times,
                    "operation": item.operation,
                    "seconds": item.seconds,
                }
                for item in self._waiting
            ]

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._waiting.clear()
