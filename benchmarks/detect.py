"""How soon the detectors speak, how seldom they are wrong, and what a prediction costs.

Run: ``make bench FILES=benchmarks/detect.py [BENCH=--quick]``. Everything is drawn from the seed below. Delays are in predictions,
from the change to the alarm, beside the bound log(A) / KL that no detector with one false alarm in A can beat
on average. False alarms are counted on clean traffic until each run's first one (or the cap of a run, which
counts as no alarm: the figures are then lower bounds).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from sagewatch.capture import Segment
from sagewatch.detect.baseline import ClassCounts
from sagewatch.detect.class_concentration import ClassConcentration, ClassConcentrationConfig
from sagewatch.detect.confidence import Confidence, ConfidenceConfig
from sagewatch.detect.detector import AnyDetector, Raised
from sagewatch.detect.mixture import Mixture, MixtureState, build_gain
from sagewatch.finding import Stream

SEED = 20261121
# Classes of the GTSRB test set: https://benchmark.ini.rub.de/gtsrb_dataset.html
GTSRB = (
    *(
        60,
        720,
        750,
        450,
        660,
        630,
        150,
        450,
        450,
        480,
        660,
        420,
        690,
        720,
        270,
        210,
        150,
        360,
        390,
        60,
        90,
        90,
    ),
    *(120, 150, 90, 480, 180, 60, 150, 90, 150, 270, 60, 210, 120, 390, 120, 60, 690, 90, 90, 60, 90),
)
SHARES = np.array(GTSRB) / sum(GTSRB)
ATTACKED = 14
LABELS = tuple(str(label) for label in range(len(GTSRB)))
ATTACKS = (0.05, 0.1, 0.2, 0.5, 0.8)
START = datetime(2026, 11, 21, tzinfo=UTC)
EXACT = ClassCounts({label: count * 10_000 for label, count in zip(LABELS, GTSRB, strict=True)})

Draw = Callable[[np.random.Generator, int], "np.ndarray[tuple[int], np.dtype[np.uint8]]"]


def draw_clean(rng: np.random.Generator, count: int) -> np.ndarray:
    """Independent predictions."""
    return rng.choice(len(SHARES), size=count, p=SHARES).astype(np.uint8)


def draw_attacked(share: float) -> Draw:
    """Predictions of which a share is pushed to one class."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        drawn = draw_clean(rng, count)
        drawn[rng.random(count) < share] = ATTACKED
        return drawn

    return draw


def draw_repeating(chance: float) -> Draw:
    """Frames of a video: each prediction repeats the one before it with this chance."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        drawn = draw_clean(rng, count)
        fresh = rng.random(count) >= chance
        fresh[0] = True
        return drawn[np.maximum.accumulate(np.where(fresh, np.arange(count), 0))]

    return draw


def draw_seasons(rng: np.random.Generator, count: int) -> np.ndarray:
    """By turns of 2000, two mixes of classes: one prefers the first half of the classes, one the second."""
    halves = np.where(np.arange(len(SHARES)) % 2, 1.6, 0.4)
    mixes = [SHARES * halves, SHARES * (2 - halves)]
    parts = [rng.choice(len(SHARES), size=2000, p=mix / mix.sum()) for mix in mixes]
    turns = -(-count // 4000)
    return (
        np.concatenate([*parts] * turns)[:count].astype(np.uint8)
        if turns < 2
        else np.concatenate(
            [
                rng.choice(len(SHARES), size=2000, p=mixes[turn % 2] / mixes[turn % 2].sum())
                for turn in range(2 * turns)
            ]
        )[:count].astype(np.uint8)
    )


def cut(classes: np.ndarray, first: int, size: int) -> Iterator[Segment]:
    """Capture files of ``size`` predictions."""
    for at in range(0, len(classes), size):
        moment = START + timedelta(seconds=first + at)
        yield Segment(
            bucket="b",
            key=f"{first + at:012d}",
            etag="e",
            stream=Stream("e", "v"),
            first_at=moment,
            last_at=moment,
            labels=LABELS,
            classes=classes[at : at + size].tobytes(),
        )


def count_until_alarm(
    detector: AnyDetector, state: object, draw: Draw, rng: np.random.Generator, cap: int, *, size: int = 500
) -> tuple[int, bool]:
    """Predictions until the first alarm, or the cap; and whether there was one."""
    start = state.seen  # type: ignore[attr-defined]
    done = 0
    while done < cap:
        block = min(cap - done, 20_000)
        for segment in cut(draw(rng, block), start + done, size):
            state, changes = detector.fold(state, segment)
            if any(isinstance(change, Raised) for change in changes):
                alarms = [point for point in detector.list_trace(state) if point.log10_excess >= 0]
                return alarms[0].predictions - start, True
        done += block
    return cap, False


def learn(detector: AnyDetector, draw: Draw, rng: np.random.Generator, count: int) -> object:
    """The state after so many clean predictions in which nothing was raised."""
    while True:
        state = detector.start()
        raised = False
        for segment in cut(draw(rng, count), 0, 500):
            state, changes = detector.fold(state, segment)
            raised = raised or bool(changes)
        if not raised:
            return state


def compute_bound(share: float, false_alarm_in: float) -> float:
    """log(A) / KL for the attacked class."""
    q = SHARES[ATTACKED]
    p = share + (1 - share) * q
    return math.log(false_alarm_in) / (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))


def print_delays(runs: int, false_alarm_in: int) -> None:
    """Delay of class-concentration, by what its baseline was learned from."""
    print(f"\nclass-concentration: mean delay over {runs} runs, one false alarm in {false_alarm_in:,}")
    print(f"{'baseline':28}" + "".join(f"{f'eps {share}':>15}" for share in ATTACKS))
    bounds = [compute_bound(share, false_alarm_in) for share in ATTACKS]
    print(f"{'bound log(A)/KL':28}" + "".join(f"{bound:15.1f}" for bound in bounds))
    for name, exact, grown in (
        ("exact", True, 500),
        ("1000, grown to 30000", False, 33_000),
        ("1000", False, 1000),
    ):
        rng = np.random.default_rng(SEED)
        config = ClassConcentrationConfig(
            one_false_alarm_in=false_alarm_in, baseline=EXACT if exact else None, learn_from=1000
        )
        detector = ClassConcentration(config)
        row = ""
        for share, bound in zip(ATTACKS, bounds, strict=True):
            delays = []
            for run in range(runs):
                if run % 10 == 0:
                    state = learn(detector, draw_clean, rng, grown)
                delays.append(count_until_alarm(detector, state, draw_attacked(share), rng, 100_000)[0])
            row += f"{f'{np.mean(delays):.1f} ({np.mean(delays) / bound:.2f})':>15}"
        print(f"{name:28}{row}", flush=True)


def print_false_alarms(runs: int, false_alarm_in: int, cap: int) -> None:
    """Average predictions between false alarms: predictions seen over alarms raised."""
    print(f"\nclass-concentration: predictions per false alarm over {runs} runs, accepted {false_alarm_in:,}")
    cases: list[tuple[str, Draw, int]] = [
        ("independent, learned from 200", draw_clean, 200),
        ("independent, learned from 1000", draw_clean, 1000),
        ("independent, learned from 5000", draw_clean, 5000),
        ("repeats 0.1, learned from 1000", draw_repeating(0.1), 1000),
        ("repeats 0.3, learned from 1000", draw_repeating(0.3), 1000),
        ("repeats 0.7, learned from 1000", draw_repeating(0.7), 1000),
        ("two seasons, learned from 4000", draw_seasons, 4000),
    ]
    for name, draw, learn_from in cases:
        rng = np.random.default_rng(SEED)
        detector = ClassConcentration(
            ClassConcentrationConfig(one_false_alarm_in=false_alarm_in, learn_from=learn_from)
        )
        seen = alarms = 0
        for _ in range(runs):
            state = detector.start()
            for segment in cut(draw(rng, learn_from), 0, 500):
                state, _ = detector.fold(state, segment)
            count, alarm = count_until_alarm(detector, state, draw, rng, cap)
            seen += count
            alarms += alarm
        print(f"  {name:34}{f'{seen / max(1, alarms):,.0f}' if alarms else f'> {seen:,}':>14}", flush=True)


def cut_confidences(levels: np.ndarray, first: int, size: int) -> Iterator[Segment]:
    """Capture files of predictions of one class with these confidences."""
    for at in range(0, len(levels), size):
        part = np.clip(np.round(254 * levels[at : at + size]), 0, 254).astype(np.uint8)
        moment = START + timedelta(seconds=first + at)
        yield Segment(
            bucket="b",
            key=f"{first + at:012d}",
            etag="e",
            stream=Stream("e", "v"),
            first_at=moment,
            last_at=moment,
            labels=LABELS[:1],
            classes=bytes(len(part)),
            confidences=part.tobytes(),
        )


def print_confidence(runs: int, false_alarm_in: int, cap: int) -> None:
    """Delay of confidence against its bound, the best bet in hindsight; and false alarms on clean traffic."""
    print(
        f"\nconfidence: mean delay over {runs} runs (ratio to log(A) / best growth), {false_alarm_in:,} accepted"
    )
    clean = (9.0, 1.0)  # Beta: mean 0.9, standard deviation 0.09
    for name, shape in (("mean 0.85", (8.5, 1.5)), ("mean 0.8", (8.0, 2.0)), ("mean 0.6", (6.0, 4.0))):
        rng = np.random.default_rng(SEED)
        detector = Confidence(ConfidenceConfig(one_false_alarm_in=false_alarm_in))
        sample = rng.beta(*shape, 200_000)
        stakes = np.linspace(0.01, 9.9, 400)
        growth = max(float(np.mean(np.log1p(stake * (0.9 - sample)))) for stake in stakes)
        delays = [_delay_confidence(detector, rng, clean, shape, 33_000) for _ in range(runs)]
        ratio = float(np.mean(delays)) / (math.log(false_alarm_in) / growth)
        print(f"  {name:12}{np.mean(delays):8.1f} ({ratio:.2f})", flush=True)
    rng = np.random.default_rng(SEED)
    detector = Confidence(ConfidenceConfig(one_false_alarm_in=false_alarm_in // 10))
    seen = alarms = 0
    for _ in range(runs):
        state = detector.start()
        for segment in cut_confidences(rng.beta(*clean, cap), 0, 1000):
            state, changes = detector.fold(state, segment)
            if changes:
                alarms += 1
                break
        seen += state.seen
    shown = f"{seen / alarms:,.0f}" if alarms else f"> {seen:,}"
    print(f"  predictions per false alarm, accepted {false_alarm_in // 10:,}: {shown}")


def _delay_confidence(
    detector: Confidence,
    rng: np.random.Generator,
    clean: tuple[float, float],
    shape: tuple[float, float],
    grown: int,
) -> int:
    state = detector.start()
    for segment in cut_confidences(rng.beta(*clean, grown), 0, 1000):
        state, _ = detector.fold(state, segment)
    before = state.seen
    for segment in cut_confidences(rng.beta(*shape, 100_000), before, 100):
        state, changes = detector.fold(state, segment)
        if any(isinstance(change, Raised) for change in changes):
            return next(p.predictions for p in detector.list_trace(state) if p.log10_excess >= 0) - before
    return 100_000


def print_costs() -> None:
    """CPU microseconds a prediction, in plain Python."""
    rng = np.random.default_rng(SEED)
    print("\ncost, microseconds of CPU a prediction")
    gains = [build_gain(float(share)) for share in SHARES]
    predicted = draw_clean(rng, 200_000).tolist()
    mixture = Mixture(MixtureState(), gains, gains, 1e12)
    started = time.process_time()
    mixture.advance(predicted, 0, len(predicted), -1)
    print(f"  e-SR mixture alone, 43 classes x 6 sizes     {(time.process_time() - started) / 0.2:8.2f}")
    for size in (1000, 100, 10):
        detector = ClassConcentration(ClassConcentrationConfig(baseline=EXACT))
        state = detector.start()
        segments = list(cut(draw_clean(rng, 200 * size if size < 1000 else 100_000), 0, size))
        started = time.process_time()
        for segment in segments:
            state, _ = detector.fold(state, segment)
        count = sum(segment.predictions for segment in segments)
        print(
            f"  class-concentration, files of {size:5}          {(time.process_time() - started) / count * 1e6:8.2f}"
        )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs, rough figures")
    quick = parser.parse_args().quick
    print(f"seed {SEED}")
    print_costs()
    print_delays(30 if quick else 300, 1_000_000)
    print_false_alarms(10 if quick else 60, 10_000 if quick else 100_000, 200_000 if quick else 1_000_000)
    print_confidence(10 if quick else 60, 1_000_000, 200_000 if quick else 1_000_000)


if __name__ == "__main__":
    main()
