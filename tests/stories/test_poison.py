"""Somebody writes rubbish into a topic: bytes that are no event, records without headers, an unknown schema, half an event.
Each is set aside as it was, with the reason and the place where it lay, in the part's own store and in the dead-letter
topic; the partition goes on, and no part ends or turns in circles."""

from records import again, forget_last, headers_of, mark, number_of, renumbered, rubbish

READERS = ("payment", "fraud", "inventory")
TOPIC = "shop.orders.v1"


def first_record(shop, order):
    return shop.records(TOPIC, order)[0]


def test_rubbish_is_set_aside_and_the_partition_goes_on(shop):
    mug = shop.product(stock=100)
    order = shop.order((mug, 1))
    shop.wait_for(order, "fulfilled")
    created = first_record(shop, order)
    pids = {part: shop.stack.pid(part) for part in READERS}

    written = {}
    for key, value, headers in rubbish(created).values():
        place = shop.stack.produce(TOPIC, value, key=key, headers=headers, partition=created.partition())
        written[place] = (key, value)

    for part in READERS:
        letters = shop.stack.wait_until(lambda: set_aside(shop, part, written), what=f"{part} having set all aside")
        for letter in letters.values():
            assert letter["reason"] == "no_number" and letter["error"]
            assert letter["topic"] == TOPIC
        copies = shop.stack.wait_until(lambda: copied(shop, part, written), what=f"copies in {TOPIC}.{part}.dlq")
        for place, message in copies.items():
            key, value = written[place]
            assert (message.key(), message.value() or b"") == (key, value or b"")  # none may be kept as an empty one
            assert headers_of(message)["dlq_reason"] == "no_number" and headers_of(message)["dlq_topic"] == TOPIC

    in_one_partition = [shop.order((mug, 1)) for _ in range(24)]
    shop.wait_for_all(in_one_partition, "fulfilled")
    assert {part: shop.stack.pid(part) for part in READERS} == pids


def test_a_copy_in_the_wrong_place_takes_nobodys_number(shop):
    """Somebody copies records of another partition and of another topic, under the number that comes next here."""
    stack = shop.stack
    mug = shop.product(stock=10000)
    orders = [shop.order((mug, 1)) for _ in range(24)]
    shop.wait_for_all(orders, "fulfilled")
    *_, last = shop.records(TOPIC, orders[0])
    next_number = max(map(number_of, own(partition_of(stack, last)))) + 1
    elsewhere = next(record for order in orders for record in shop.records(TOPIC, order) if not_beside(record, last))
    payment = shop.records("shop.payments.v1", orders[0])[-1]

    written = {}
    for stray in (elsewhere, payment):
        key, value, headers = stray.key(), stray.value(), renumbered(stray, next_number)
        written[stack.produce(TOPIC, value, key=key, headers=headers, partition=last.partition())] = (key, value)
    stack.restart("orders")  # it reads its own log back
    stack.wait_ready("orders")

    goes_on = []
    while not goes_on:  # by chance another dozen of orders may all lie elsewhere
        more = [shop.order((mug, 1)) for _ in range(12)]
        shop.wait_for_all(more, "fulfilled")
        goes_on = [order for order in more if shop.records(TOPIC, order)[0].partition() == last.partition()]
    for part in READERS:
        letters = stack.wait_until(lambda: set_aside(shop, part, written), what=f"{part} having set both aside")
        assert {letter["reason"] for letter in letters.values()} == {"no_number"}
    assert max(map(number_of, own(partition_of(stack, last)))) > next_number


def partition_of(stack, record):
    return [other for other in stack.consume(record.topic()) if other.partition() == record.partition()]


def own(records):
    """Those that have a number; rubbish that lies beside them may look like it."""
    return [r for r in records if is_own(r.partition(), headers_of(r))]


def is_own(partition, headers):
    number = headers.get("ce_sequence", "")
    return number.isdigit() and headers.get("ce_id") == f"orders/{partition}/{int(number)}"


def not_beside(record, other):
    return record.partition() != other.partition()


def set_aside(shop, part, written):
    """The dead letters of those places, when all are there."""
    letters = {(letter["partition"], letter["offset"]): letter for letter in shop.dead_letters(part)}
    return {place: letters[place] for place in written} if set(written) <= set(letters) else None


def copied(shop, part, written):
    copies = {}
    for message in shop.stack.consume(f"{TOPIC}.{part}.dlq"):
        place = headers_of(message).get("dlq_partition"), headers_of(message).get("dlq_offset")
        copies[tuple(map(int, place))] = message
    return {place: copies[place] for place in written} if set(written) <= set(copies) else None


def test_a_damaged_copy_is_asked_for_again_and_the_good_one_counts(shop):
    stack = shop.stack
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    closed = shop.records(TOPIC, order)[-1]
    missed = forget_last(stack, "payment", closed)
    again(stack, closed, value=closed.value()[:-3])

    stack.start("payment")

    stack.wait_until(lambda: mark(stack, "payment", closed) >= missed, what="payment having read it")
    assert not [letter for letter in shop.dead_letters("payment") if letter["key"] == order]


def test_an_event_that_no_row_of_the_saga_knows_is_a_dead_letter_and_an_alarm(shop):
    stack = shop.stack
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    created, *_, closed = shop.records(TOPIC, order)
    number = forget_last(stack, "fraud", closed)
    again(stack, created, headers=renumbered(created, number))  # a second order.created, where order.closed should be

    stack.start("fraud")

    letter = stack.wait_until(
        lambda: next((letter for letter in shop.dead_letters("fraud") if letter["key"] == order), None),
        what="the dead letter",
    )
    assert letter["reason"] == "impossible" and letter["number"] == number
    alarms = [line for line in stack.log_lines("fraud", "dead_letter") if line["number"] == number]
    assert alarms and alarms[-1]["level"] == "error"
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")
