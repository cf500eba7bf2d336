"""The same seed is the same plan, and a plan has every kind of fault."""

import faults
import plan

KINDS = faults.planned()


def test_the_same_seed_is_the_same_plan():
    assert plan.make(7, 20000, 40, KINDS) == plan.make(7, 20000, 40, KINDS)
    assert plan.make(7, 20000, 40, KINDS) == plan.make(7, 20000, 40, dict(reversed(KINDS.items())))
    assert plan.make(7, 20000, 40, KINDS) != plan.make(8, 20000, 40, KINDS)


def test_no_kind_has_a_second_turn_before_each_had_one():
    assert {fault.kind for fault in plan.make(1, 20000, len(KINDS), KINDS)} == set(KINDS)


def test_faults_are_spread_over_the_orders_in_order():
    planned = plan.make(3, 1000, 50, KINDS)

    moments = [fault.at_order for fault in planned]
    assert moments == sorted(moments)
    assert all(20 * i < moment <= 20 * (i + 1) for i, moment in enumerate(moments))


def test_a_fault_strikes_a_target_of_its_kind_for_as_long_as_that_lasts():
    for fault in plan.make(5, 100000, 1000, KINDS):
        targets, (least, most) = KINDS[fault.kind]
        assert fault.target in targets and least - 0.1 <= fault.seconds <= most + 0.1
