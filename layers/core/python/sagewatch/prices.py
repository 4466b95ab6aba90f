"""What SageMaker instances cost: list prices for figures in words, never a bill.

Source: on-demand prices of hosting and processing instances in us-east-1 on AWS's public price pages, as the authors knew
them in the month of `AS_OF`; no program fetched them. Other regions cost some 10 to 20 percent more; savings plans cost less.
"""

from __future__ import annotations

from typing import Final

AS_OF: Final = "2025-10"
REGION: Final = "us-east-1"
INSTANCE_USD_AN_HOUR: Final = {
    "ml.t3.medium": 0.05, "ml.t3.large": 0.10, "ml.t3.xlarge": 0.20,
    "ml.m5.large": 0.115, "ml.m5.xlarge": 0.23, "ml.m5.2xlarge": 0.461, "ml.m5.4xlarge": 0.922,
    "ml.c5.large": 0.102, "ml.c5.xlarge": 0.204, "ml.c5.2xlarge": 0.408, "ml.c5.4xlarge": 0.816,
    "ml.g4dn.xlarge": 0.736, "ml.g5.xlarge": 1.408,
}  # fmt: skip


def price_instances(instance_type: str, seconds: float, instances: int = 1) -> float | None:
    """US dollars for so long; None for a type that the table does not know.

    Examples
    --------
    >>> price_instances("ml.m5.large", 3600, 2)
    0.23
    >>> price_instances("ml.p5.48xlarge", 3600) is None
    True
    """
    an_hour = INSTANCE_USD_AN_HOUR.get(instance_type)
    return None if an_hour is None else an_hour * instances * seconds / 3600


def tell_price_list() -> str:
    """Where the prices come from, in words."""
    return f"list prices of {REGION} as the authors knew them, {AS_OF}"
