"""Hold a demo's summary.json against what the demo promises: `check_summary.py DIR`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any


def find_faults(folder: Path, summary: dict[str, Any]) -> list[str]:
    """Each promise that this run of the demo broke, in words; empty where all were kept."""
    endpoint = summary["endpoint"]
    told = Counter((alert["receiver"], alert["state"]) for alert in summary["alerts"])
    states = {state for _, state in told}
    maps = len(list((folder / "heatmaps").glob("*.png")))
    checks = [
        (summary["clean_predictions"] >= 500, f"only {summary['clean_predictions']} clean predictions"),
        (
            not summary["findings_on_clean_traffic"],
            f"{summary['findings_on_clean_traffic']} findings on clean traffic",
        ),
        (not summary["left_behind"], f"left behind: {summary['left_behind']}"),
        (str(summary["detected_class"]) == "14", f"detected class {summary['detected_class']}, not 14"),
        (
            summary["predictions_to_detection"] <= 40,
            f"{summary['predictions_to_detection']} predictions to detection",
        ),
        ({"firing", "resolved"} <= states, f"alerts sent: {sorted(states)}"),
        (
            all(n == 1 for (_, state), n in told.items() if state in {"firing", "resolved"}),
            f"told: {dict(told)}",
        ),
        (
            endpoint["final_config"] == endpoint["original_config"],
            f"endpoint left at {endpoint['final_config']}",
        ),
        (endpoint["hooked_config"] != endpoint["original_config"], "the endpoint was never swapped"),
        (
            summary["explained_images"] >= 20 <= maps,
            f"{summary['explained_images']} explained, {maps} heat maps",
        ),
        (
            summary["completeness_max_relative_error"] <= 1e-5,
            f"completeness error {summary['completeness_max_relative_error']}",
        ),
        ((folder / "incident.html").is_file(), "no incident.html"),
        (
            all((folder / alert["path"]).is_file() for alert in summary["alerts"]),
            "a rendered alert is missing",
        ),
    ]
    return [fault for kept, fault in checks if not kept]


def main() -> None:
    """Print the faults and fail, or say that there are none."""
    folder = Path(sys.argv[1])
    faults = find_faults(folder, json.loads((folder / "summary.json").read_text()))
    for fault in faults:
        print(f"demo: {fault}", file=sys.stderr)
    if faults:
        sys.exit(1)
    print("demo: every promise was kept")


if __name__ == "__main__":
    main()
