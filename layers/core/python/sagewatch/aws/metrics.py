"""``Metrics`` as CloudWatch embedded metric format, printed: no call, no wait. Source: EMF specification."""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit


class EmfMetrics:
    """Metrics on standard output, which CloudWatch Logs turns into metrics.

    Parameters
    ----------
    namespace
        Such as ``Sagewatch``.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def put(self, values: Mapping[str, float], unit: str, **dimensions: str) -> None:
        """One document a call: every distinct set of dimensions costs money, so callers keep them few."""
        if not values:
            return
        metrics = EphemeralMetrics(namespace=self._namespace)
        # Where POWERTOOLS_SERVICE_NAME is set it would be a dimension of every metric, and neither the dashboard's
        # searches nor an alarm would find one: CloudWatch compares the whole set of dimensions.
        metrics.service = ""
        for dimension, label in dimensions.items():
            metrics.add_dimension(dimension, label)
        for name, value in values.items():
            metrics.add_metric(name, MetricUnit(unit), value)
        metrics.flush_metrics()
