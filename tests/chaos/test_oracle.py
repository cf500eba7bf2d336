"""The oracle sees a broken promise of each kind, in made-up logs and worlds, and finds nothing in a good one."""

import pytest
import oracle
import promises
from promises import Asked, Promises
from world import Entry, Mail, Order, World

FULFILLED, CLOSED = oracle.FULFILLED, oracle.CLOSED
POISON = ("payment", ("shop.orders.v1", 3, 17))


def good():
    """Order a was fulfilled, b was cancelled after it was paid, c was declined; each as it should be."""
    told = Promises(
        asked={
            1: Asked("c-1", "k-1", 500, True),
            2: Asked("c-2", "k-2", 700, True),
            3: Asked("c-3", "k-3", 900, False),
        },
        promised={1: {"a"}, 2: {"b"}, 3: {"c"}},
        cancelled={"b"},
    )
    world = World(
        orders={"a": Order("c-1", FULFILLED, 500), "b": Order("c-2", CLOSED, 700), "c": Order("c-3", CLOSED, 900)},
        book={"a": [Entry("captured", 500, 0)], "b": [Entry("refunded", 700, 700)], "c": [Entry("declined", 0, 0)]},
        mails={
            ("a", 1): Mail(oracle.SENT, "confirmation.a"),
            ("b", 2): Mail(oracle.SENT, "cancellation.b"),
            ("c", 2): Mail(3, "cancellation.c"),  # there is no address to send it to
        },
        arrived=[("confirmation.a", "a"), ("confirmation.a", "a"), ("cancellation.b", "b")],
        poison={POISON},
        dead_letters={POISON},
    )
    return told, world


def broken(rules):
    return {rule for rule, texts in rules.items() if texts}


def test_a_world_that_keeps_its_promises_is_found_good():
    assert broken(oracle.judge(*good())) == set()


def lost(told, world):
    del world.orders["c"], world.book["c"]


def another_total(told, world):
    world.orders["b"] = world.orders["b"]._replace(total=701)


def another_customer(told, world):
    world.orders["a"], world.orders["c"] = (
        world.orders["a"]._replace(customer="c-3"),
        world.orders["c"]._replace(customer="c-1"),
    )


def hanging(told, world):
    world.orders["c"] = world.orders["c"]._replace(state=4)


def ordered_twice(told, world):
    world.orders["d"] = Order("c-1", FULFILLED, 500)
    world.book["d"] = [Entry("captured", 500, 0)]


def promised_twice(told, world):
    told.promised[1].add("d")
    world.orders["d"] = Order("c-1", CLOSED, 500)


def nobodys(told, world):
    world.orders["d"] = Order("c-9", CLOSED, 100)


def cancelled_and_delivered(told, world):
    world.orders["b"] = world.orders["b"]._replace(state=FULFILLED)
    world.book["b"] = [Entry("captured", 700, 0)]


def charged_twice(told, world):
    world.book["a"] *= 2


def charged_and_given_back_twice(told, world):
    world.book["b"] *= 2


def not_charged(told, world):
    del world.book["a"]


def charged_too_little(told, world):
    world.book["a"] = [Entry("captured", 499, 0)]


def not_given_back(told, world):
    world.book["b"] = [Entry("captured", 700, 0)]


def held_for_ever(told, world):
    world.book["c"] = [Entry("authorized", 0, 0)]


def charged_for_nothing(told, world):
    world.book["d"] = [Entry("captured", 500, 0)]


def mail_lost(told, world):
    world.arrived.remove(("cancellation.b", "b"))


def mail_under_two_ids(told, world):
    world.arrived.append(("confirmation.a.again", "a"))


def mail_given_up(told, world):
    world.mails["a", 1] = Mail(3, "confirmation.a")
    world.arrived.clear()
    del world.mails["b", 2]


def poison_swallowed(told, world):
    world.dead_letters.clear()


def good_record_set_aside(told, world):
    world.dead_letters.add(("fraud", ("shop.orders.v1", 3, 18)))


def refused(told, world):
    told.refused.append((4, 422, "no such product"))


def never_answered(told, world):
    told.unanswered.append(4)


def forgotten_by_the_load(told, world):
    told.asked[4] = Asked("c-4", "k-4", 100, False)


def audit_complains(told, world):
    world.audit.append("log.numbers: a hole")


@pytest.mark.parametrize(
    "plant, rule",
    [
        (lost, "exists"),
        (another_total, "exists"),
        (another_customer, "exists"),
        (hanging, "ended"),
        (ordered_twice, "once"),
        (promised_twice, "once"),
        (nobodys, "asked"),
        (cancelled_and_delivered, "cancelled"),
        (charged_twice, "charged"),
        (charged_and_given_back_twice, "charged"),
        (not_charged, "charged"),
        (charged_too_little, "charged"),
        (not_given_back, "charged"),
        (held_for_ever, "charged"),
        (charged_for_nothing, "charged"),
        (mail_lost, "mailed"),
        (mail_under_two_ids, "mailed"),
        (mail_given_up, "mailed"),
        (poison_swallowed, "set_aside"),
        (good_record_set_aside, "set_aside"),
        (refused, "answered"),
        (never_answered, "answered"),
        (forgotten_by_the_load, "answered"),
        (audit_complains, "audit"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_broken_promise_is_seen(plant, rule):
    told, world = good()
    plant(told, world)

    assert rule in broken(oracle.judge(told, world))


def test_what_was_promised_is_read_from_disk_as_it_was_written(tmp_path):
    path = tmp_path / "promises"
    log = promises.Log(path)
    log.write(asked=1, customer="c-1", key="k-1", total=500, mail=True)
    log.write(promised=1, order="a")
    log.write(promised=1, order="a")
    log.write(cancelled="a")
    log.write(refused=2, status=422, body="no")
    log.write(unanswered=3)
    log.close()
    with open(path, "a") as file:
        file.write('{"promised": 4, "ord')  # the writer was killed here

    told = promises.read(path)

    assert told == Promises({1: Asked("c-1", "k-1", 500, True)}, {1: {"a"}}, {"a"}, [(2, 422, "no")], [3])
    assert told.orders() == {"a": 1}
