"""A record with a number cannot be read, and its number says that nothing may be left out. The reader asks the writer for it
once more; what does not decode then either, or what the writer has no more, is set aside, and the partition goes on.

A schema that nobody knows may still be on its way: it is waited for half a minute before."""

import pytest
from records import again, forget_last, headers_of, lane, mark, number_of, with_schema

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
    waited_for = f"{part}'s dead letter of number {number_of(record)} {lane(record)}"
    letters = shop.stack.wait_until(lambda: letters_of(shop, part, record), what=waited_for)
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


ALL_WAITED_FOR_S = 75  # half a minute for the schema, a resend, and what a busy machine adds; not half a minute for each


def test_an_unknown_schema_is_waited_for_then_asked_for_then_set_aside(shop, journal):
    """Payment gets a damaged copy, and its writer has a good one. For fraud both copies are of an unknown schema, and so
    are those of what comes behind it: it has waited for that schema by then."""
    healed, lost = missed_records(shop, "payment", "fraud")
    lost = missed_since(shop, "fraud", lost)
    for record in lost:
        unknown = bytes(with_schema(record.value(), 999_999))
        journal(record, f"update journal set value = decode('{unknown.hex()}', 'hex') {{row}}")
        again(shop.stack, record, value=unknown)
    again(shop.stack, healed, value=with_schema(healed.value(), 999_999))

    shop.stack.start("payment")
    shop.stack.start("fraud")

    letters = shop.stack.wait_until(
        lambda: all_letters(shop, "fraud", lost), ALL_WAITED_FOR_S, "fraud having set all of them aside"
    )
    assert [letter["reason"] for letter in letters] == ["unknown_schema"] * len(lost)
    assert asked_for(shop.stack, "fraud", lost[0]) and not asked_for(shop.stack, "fraud", lost[-1])
    shop.wait_for_all([shop.order((shop.product(), 1)) for _ in range(3)], "fulfilled")
    shop.stack.wait_until(
        lambda: mark(shop.stack, "payment", healed) >= number_of(healed), 90, "payment having the good copy"
    )
    assert asked_for(shop.stack, "payment", healed)
    assert letters_of(shop, "payment", healed) == []


def missed_since(shop, part, last):
    """All records of the partition from the first of that order on, as if the part had never got them."""
    in_place = [record for record in shop.stack.consume(TOPIC) if record.partition() == last.partition()]
    numbered = {headers_of(record).get("ce_sequence", ""): record for record in in_place}  # strangers' have none
    lying = {int(number): record for number, record in numbered.items() if number.isdigit()}
    first = min(number for number, record in lying.items() if record.key() == last.key())
    shop.stack.sql(part, f"UPDATE positions SET high_water = {first - 1} {lane(last)}")
    return [lying[number] for number in sorted(lying) if number >= first]


def all_letters(shop, part, records):
    """Their dead letters, oldest first, when each has one."""
    place = records[0].partition(), {number_of(record) for record in records}
    found = [letter for letter in shop.dead_letters(part) if letter["partition"] == place[0] and letter["number"] in place[1]]
    return found if len(found) == len(records) else None
