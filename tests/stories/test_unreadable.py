"""A record with a number cannot be read, and its number says that nothing may be left out. The reader asks the writer for it
once more; what does not decode then either, or what the writer has no more, is set aside, and the partition goes on.

A schema that nobody knows may still be on its way: it is waited for half a minute before."""

import pytest
from records import again, forget_last, lane, mark, number_of, with_schema

TOPIC = "shop.orders.v1"


@pytest.fixture
def journal(shop):
    """What the order service has of its records, to be damaged; taken back in the end."""
    damaged = []

    def change(record, statement):
        """statement about the row of the record: "update journal set ... {row}" or "delete from journal {row}"."""
        row = f"where shard = {record.partition()} and number = {number_of(record)}"
        old = shop.stack.sql("orders", f"select written_at, key, headers, value from journal {row}")[0]
        damaged.append((row, record, old))
        shop.stack.sql("orders", statement.format(row=row))

    yield change
    for row, record, (written_at, *texts) in damaged:
        values = ", ".join(f"'{text}'" for text in texts)
        shop.stack.sql(
            "orders",
            f"delete from journal {row}; insert into journal (shard, number, written_at, key, headers, value)"
            f" values ({record.partition()}, {number_of(record)}, '{written_at}', {values})",
        )


def missed_records(shop, *parts):
    """For each part the last record of a partition, as if the part had never got it; the parts are stopped."""
    mug, closed = shop.product(), {}
    while len(closed) < len(parts):
        order = shop.order((mug, 1))
        shop.wait_for(order, "fulfilled")
        record = shop.records(TOPIC, order)[-1]
        closed[record.partition()] = record
    for part, record in zip(parts, closed.values()):
        forget_last(shop.stack, part, record)
    return list(closed.values())


def letters_of(shop, part, record):
    return [letter for letter in shop.dead_letters(part) if letter["key"].encode() == record.key()]


def asked_for(stack, part, record):
    """Whether the part asked the writer for it."""
    return [
        line
        for line in stack.log_lines(part, "gap")
        if (line["topic"], line["partition"], line["number"]) == (TOPIC, record.partition(), number_of(record))
    ]


def set_aside(shop, part, record, reason):
    """Wait until it is a dead letter and everything behind it is read."""
    letters = shop.stack.wait_until(lambda: letters_of(shop, part, record), 90, f"{part}'s dead letter")
    assert [(letter["reason"], letter["number"]) for letter in letters] == [(reason, number_of(record))]
    assert asked_for(shop.stack, part, record)
    assert mark(shop.stack, part, record) >= number_of(record)
    last = f"select last_number from shards where shard = {record.partition()}"
    shop.stack.wait_until(
        lambda: mark(shop.stack, part, record) >= int(shop.stack.sql("orders", last)[0][0]),
        what=f"{part} having read on {lane(record)}",
    )


def test_a_resend_that_is_no_better_is_set_aside(shop, journal):
    [missed] = missed_records(shop, "payment")
    journal(missed, "update journal set value = substr(value, 1, length(value) - 3) {row}")
    again(shop.stack, missed, value=missed.value()[:-3])

    shop.stack.start("payment")

    set_aside(shop, "payment", missed, "undecodable")
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")


def test_what_the_writer_has_no_more_is_set_aside_as_it_lies(shop, journal):
    [missed] = missed_records(shop, "payment")
    journal(missed, "delete from journal {row}")
    again(shop.stack, missed, value=missed.value()[:-3])

    shop.stack.start("payment")

    set_aside(shop, "payment", missed, "undecodable")
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")


def test_an_unknown_schema_is_waited_for_then_asked_for_then_set_aside(shop, journal):
    """Payment gets a damaged copy, and its writer has a good one. For fraud both copies are of an unknown schema."""
    healed, lost = missed_records(shop, "payment", "fraud")
    unknown = bytes(with_schema(lost.value(), 999_999))
    journal(lost, f"update journal set value = decode('{unknown.hex()}', 'hex') {{row}}")
    again(shop.stack, healed, value=with_schema(healed.value(), 999_999))
    again(shop.stack, lost, value=unknown)

    shop.stack.start("payment")
    shop.stack.start("fraud")
    shop.wait_for_all([shop.order((shop.product(), 1)) for _ in range(3)], "fulfilled", seconds=90)

    set_aside(shop, "fraud", lost, "unknown_schema")
    shop.stack.wait_until(
        lambda: mark(shop.stack, "payment", healed) >= number_of(healed), 90, "payment having the good copy"
    )
    assert asked_for(shop.stack, "payment", healed)
    assert letters_of(shop, "payment", healed) == []
