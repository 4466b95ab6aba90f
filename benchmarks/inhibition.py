"""What an inhibition rule costs a message: one delivery of a storm with rules and without, as ratios within one run.

All incidents of an endpoint share the message of one group, whose wait is over. CPU time of the heaviest delivery, the
least of a few plays. Says yes or no; ``--quick`` plays a smaller storm.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # before anybody else's package of the name `tests`

from sagewatch.memory.items import MemoryItems  # noqa: E402
from sagewatch.observability import get_logger  # noqa: E402
from tests.acceptance import language  # noqa: E402
from tests.acceptance.conftest import MONITORS  # noqa: E402

ROUTES = "routes: {receiver: on-call, group_by: [endpoint], group_wait: 30s}\n"
CRITICAL = 'inhibit:\n  - {when: ["severity=critical"], mutes: ["severity=warning"], equal: [endpoint]}\n'
BACK = '  - {when: ["kind=data-quality"], mutes: ["kind=no-data"], equal: [endpoint]}\n'
STORMS = {
    "no rule": "",
    "a rule that mutes all, if anything critical were open": CRITICAL,
    "two rules": CRITICAL + BACK,
}
ALLOWED = 1.5
PLAYS = 2


def time_heaviest(monitors: str, count: int, *, circle: bool) -> float:
    """CPU seconds of the delivery that tells of the storm; in a circle one that is critical explains all, and is explained."""
    story = language.Story(MemoryItems(), MONITORS + ROUTES + monitors)
    costs = []
    deliver = language.deliver_alert

    def measure(fact: object, world: object) -> None:
        began = time.process_time()
        deliver(fact, world)
        costs.append(time.process_time() - began)

    language.deliver_alert = measure
    try:
        if circle:
            story.at("0s").raises("none", kind="no-data", severity="critical")
        for number in range(count):
            story.at("1s").raises(f"feature_{number}", kind="data-quality", severity="warning")
        story.play_only("35s")
    finally:
        language.deliver_alert = deliver
    return max(costs)


def main() -> None:
    """Print the table."""
    get_logger().setLevel(logging.CRITICAL)
    count = 300 if "--quick" in sys.argv else 1000
    print(f"{count} incidents of one group: CPU seconds of the delivery that tells of them, least of {PLAYS}")
    cases = [(name, rules, False) for name, rules in STORMS.items()]
    cases.append(("two rules, and all in one circle", CRITICAL + BACK, True))
    yardstick, slow = None, False
    for name, rules, circle in cases:
        seconds = min(time_heaviest(rules, count, circle=circle) for _ in range(PLAYS))
        yardstick = yardstick or seconds
        slow |= seconds / yardstick > ALLOWED
        print(f"  {name:55}{seconds:7.2f}{seconds / yardstick:7.2f}x", flush=True)
    print(f"at most {ALLOWED} times what it is without a rule: {'no' if slow else 'yes'}")
    sys.exit(slow)


if __name__ == "__main__":
    main()
