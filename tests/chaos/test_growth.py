"""Growth of each kind is seen in made-up samples of an hour, and none is seen where things only fill up or pass."""

import growth
import pytest
from growth import KIB, MIB, Sample

RATE = 500


def hour(memory=lambda s: 20 * MIB, descriptors=lambda s: 30, journal=lambda s: 0, kept=lambda orders: 0, pid=lambda s: 7):
    """Samples of an hour in which each is as it was said to be at that second."""
    return [
        Sample(
            s,
            s * RATE,
            {f"payment {pid(s)}": (memory(s), descriptors(s))},
            {"payment journal": journal(s), "payment payment_events": kept(s * RATE)},
        )
        for s in range(20, 3601, 20)
    ]


def sawtooth(s):
    """As a journal whose oldest piece goes every ten minutes."""
    return (200 + s % 600) * MIB


def test_what_stays_fills_up_or_passes_is_no_growth():
    warming = hour(
        memory=lambda s: (20 + min(s, 300) // 30) * MIB,
        descriptors=lambda s: 30 + s // 20 % 5,
        journal=sawtooth,
        kept=lambda orders: 900 * orders,
    )

    assert growth.judge(warming) == []


def test_what_a_fault_holds_up_for_a_while_and_connections_under_load_are_no_growth():
    held_up = hour(
        descriptors=lambda s: 80 + (s * 7919 // 20 % 90) + (40 if s > 3300 else 0),
        journal=lambda s: sawtooth(s) + (900 * MIB if 2400 < s < 2520 else 0),
    )

    assert growth.judge(held_up) == []


def test_a_process_is_judged_by_its_own_life():
    assert growth.judge(hour(memory=lambda s: (10 + s % 900 // 30) * MIB, pid=lambda s: s // 900)) == []


@pytest.mark.parametrize(
    "grown, named",
    [
        (hour(memory=lambda s: 20 * MIB + s * 4 * KIB), "payment 7: resident memory grew from 22"),
        (hour(descriptors=lambda s: 30 + s // 120), "payment 7: descriptors grew from 32"),
        (hour(journal=lambda s: sawtooth(s) + s * MIB // 2), "payment journal: grew from"),
        (hour(kept=lambda orders: 900 * orders * (1 + orders / RATE / 3600)), "payment payment_events: grew by"),
    ],
    ids=["memory", "descriptors", "journal", "more and more an order"],
)
def test_growth_is_named(grown, named):
    (text,) = growth.judge(grown)

    assert text.startswith(named)


def test_a_short_run_is_not_judged():
    assert growth.judge(hour(memory=lambda s: s * MIB)[:50]) == []


def test_the_summary_says_the_most_of_each():
    text = "\n".join(growth.summary(hour(memory=lambda s: s * KIB, journal=sawtooth)))

    assert "payment         3.5 MiB   30" in text
    assert "payment journal               780.0 MiB" in text
