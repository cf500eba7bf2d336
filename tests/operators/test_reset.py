"""An operator sets the offsets of a group, as Kafka's own kafka-consumer-groups --reset-offsets does it.

A group of somebody else stands where its offsets say. A part stands where its numbers say: set back to the beginning it
reads again and applies nothing twice; set on to the end it does not pass over what it has not applied.
"""

import csv
import io
import json
import signal
import subprocess
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from groups import acted, audited, behind, caught_up, commit, no_room, shown
from parts import READERS


@pytest.fixture
def readers(stack):
    """A group of a stranger: of two partitions with 10 records each, the first of a topic, it has read 4 and 6."""
    topic, group = f"test.{uuid.uuid4().hex}", f"readers-{uuid.uuid4().hex[:8]}"
    admin = AdminClient(stack.kafka())
    admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1, config={"retention.ms": "-1"})])[topic].result(30)
    producer = Producer(stack.kafka())
    for partition in (0, 1):
        for second in range(10):
            producer.produce(topic, b"x", partition=partition, timestamp=1_700_000_000_000 + 1000 * second)
    assert producer.flush(30) == 0
    commit(stack, group, (topic, 0, 4), (topic, 1, 6))
    yield topic, group
    admin.delete_consumer_groups([group])[group].result(30)
    admin.delete_topics([topic])[topic].result(30)


def planned(stack, group, *words):
    """Where each partition would be set to."""
    plan = stack.tradewind("groups", "reset", group, *words, "--json")
    return {(row["topic"], row["partition"]): row["to"] for row in plan["offsets"]}


@pytest.mark.parametrize(
    "words, want",
    [
        (("--all-topics", "--to-earliest"), [0, 0]),
        (("--all-topics", "--to-latest"), [10, 10]),
        (("--all-topics", "--to-current"), [4, 6]),
        (("--all-topics", "--to-offset", "3"), [3, 3]),
        (("--all-topics", "--to-offset", "99"), [10, 10]),
        (("--all-topics", "--shift-by", "2"), [6, 8]),
        (("--all-topics", "--shift-by", "-5"), [0, 1]),
        (("--all-topics", "--shift-by", "+5"), [9, 10]),
        # 2023-11-14T22:13:20Z is the time of the first record; each is a second after the one before
        (("--all-topics", "--to-datetime", "2023-11-14T22:13:25.000"), [5, 5]),
        (("--all-topics", "--to-datetime", "2023-11-14T22:13:25.001"), [6, 6]),
        (("--all-topics", "--to-datetime", "2000-01-01T00:00:00Z"), [0, 0]),
        (("--all-topics", "--to-datetime", "2024-01-01T00:00:00.000"), [10, 10]),
        (("--all-topics", "--by-duration", "PT1H"), [10, 10]),
        (("--all-topics", "--by-duration", "P36500D"), [0, 0]),
        (("--topic", "TOPIC:1", "--to-earliest"), [None, 0]),
        (("--topic", "TOPIC:0", "--topic", "TOPIC:1", "--to-latest"), [10, 10]),
        (("--topic", "TOPIC", "--to-current"), [4, 6, 0]),
    ],
)
def test_each_way_means_what_it_means_in_kafkas_own_tool(stack, readers, words, want):
    topic, group = readers

    plan = planned(stack, group, *[word.replace("TOPIC", topic) for word in words])

    assert plan == {(topic, partition): offset for partition, offset in enumerate(want) if offset is not None}
    assert planned(stack, group, "--all-topics", "--to-current") == {(topic, 0): 4, (topic, 1): 6}  # nothing was done


def test_what_is_exported_is_read_again(stack, readers, tmp_path):
    topic, group = readers
    saved = tmp_path / "offsets.csv"
    saved.write_text(stack.tradewind("groups", "reset", group, "--all-topics", "--to-current", "--export"))

    stack.tradewind("groups", "reset", group, "--all-topics", "--to-earliest", "--execute", "--because", "to try")
    moved = {place["partition"]: place["committed"] for place in shown(stack, group)["positions"]}
    stack.tradewind("groups", "reset", group, "--from-file", saved, "--execute")
    back = {place["partition"]: place["committed"] for place in shown(stack, group)["positions"]}

    assert list(csv.reader(io.StringIO(saved.read_text()))) == [[topic, "0", "4"], [topic, "1", "6"]]
    assert (moved, back) == ({0: 0, 1: 0}, {0: 4, 1: 6})
    told = acted(stack, "offsets.reset", group)
    assert [json.loads(event["after"]) for event in told] == [{topic: {"0": 0, "1": 0}}, {topic: {"0": 4, "1": 6}}]
    assert told[0]["actor"] and told[0]["reason"] == "to try"
    assert json.loads(told[0]["before"]) == {topic: {"0": 4, "1": 6}}
    begun = acted(stack, "offsets.reset.begun", group)
    assert [(event["before"], event["after"]) for event in begun] == [(event["before"], event["after"]) for event in told]


def test_what_cannot_be_told_is_not_done(stack, readers):
    topic, group = readers

    with no_room(stack, "shop.ops.v1"):
        done = stack.run_tradewind("groups", "reset", group, "--all-topics", "--to-earliest", "--execute")

    assert done.returncode == 3 and "nothing was done, because shop.ops.v1: " in done.stderr
    assert planned(stack, group, "--all-topics", "--to-current") == {(topic, 0): 4, (topic, 1): 6}
    assert acted(stack, "offsets.reset.begun", group) == []


def dying_at(call, folder):
    """Settings under which a command is killed in the place of that call of a library."""
    library = folder / "dies.so"
    source = f"#include <signal.h>\nvoid *{call}(void) {{ raise(SIGKILL); return 0; }}\n"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-"], input=source, text=True, check=True)
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}


@pytest.mark.parametrize(
    "call, offsets",
    [
        pytest.param("rd_kafka_AlterConsumerGroupOffsets", [4, 6], id="before-it-is-done"),
        pytest.param("rd_kafka_AlterConsumerGroupOffsets_result_groups", [0, 0], id="after-it-is-done"),
    ],
)
def test_a_command_that_dies_between_leaves_in_the_log_what_it_began(stack, readers, tmp_path, call, offsets):
    topic, group = readers
    words = ("groups", "reset", group, "--all-topics", "--to-earliest", "--execute", "--because", "to die")

    done = stack.run_tradewind(*words, settings=dying_at(call, tmp_path))

    assert done.returncode == -signal.SIGKILL
    assert list(planned(stack, group, "--all-topics", "--to-current").values()) == offsets
    [begun] = acted(stack, "offsets.reset.begun", group)
    assert (json.loads(begun["before"]), json.loads(begun["after"])) == ({topic: {"0": 4, "1": 6}}, {topic: {"0": 0, "1": 0}})
    assert begun["actor"] and begun["reason"] == "to die"
    assert acted(stack, "offsets.reset", group) == acted(stack, "offsets.reset.failed", group) == []

    stack.tradewind(*words)  # it can be done all the same
    assert len(acted(stack, "offsets.reset", group)) == 1


def test_a_group_of_a_stranger_is_listed_with_its_lag(stack, readers):
    topic, group = readers

    row = [row for row in stack.tradewind("groups", "ls", "--json") if row["group"] == group][0]

    assert (row["state"], row["is_part"], row["members"], row["lag"]) == ("Empty", False, [], 10)
    assert row["behind_seconds"] > 0


def test_a_reset_is_refused_while_somebody_reads(shop):
    done = shop.stack.run_tradewind("groups", "reset", "payment", "--all-topics", "--to-earliest", "--execute")

    assert done.returncode == 1
    assert "payment-1" in done.stderr and "refused while somebody reads" in done.stderr


def test_what_makes_no_sense_is_refused_in_one_sentence(stack, readers, tmp_path):
    topic, group = readers
    broken = tmp_path / "broken.csv"
    broken.write_text(f"{topic},0,soon\n")

    for words, code in (
        (("reset", group, "--to-earliest"), 2),
        (("reset", group, "--all-topics"), 2),
        (("reset", group, "--all-topics", "--to-earliest", "--to-latest"), 2),
        (("reset", group, "--all-topics", "--to-datetime", "tomorrow"), 2),
        (("reset", group, "--all-topics", "--by-duration", "1 hour"), 2),
        (("reset", group, "--all-topics", "--shift-by", "a"), 2),
        (("reset", group, "--all-topics", "--to-latest", "--dry-run", "--execute"), 2),
        (("reset", "--all-topics", "--to-latest"), 2),
        (("reset", "no-such-group", "--all-topics", "--to-latest"), 1),
        (("reset", group, "--topic", "no.such.topic", "--to-latest"), 1),
        (("reset", group, "--topic", f"{topic}:9", "--to-latest"), 1),
        (("reset", group, "--topic", f"{topic}:2", "--shift-by", "1"), 1),
        (("reset", group, "--from-file", str(broken)), 1),
        (("reset", group, "--from-file", str(tmp_path / "none.csv")), 2),
    ):
        done = stack.run_tradewind("groups", *words)
        assert done.returncode == code, (words, done.returncode, done.stderr)
        assert done.stderr.startswith("tradewind groups reset: ") and done.stdout == ""


def stop_all(stack):
    for part in READERS:
        stack.stop(part)
    for part in READERS:
        stack.wait_until(lambda part=part: shown(stack, part)["state"] == "Empty", what=f"{part} having left")


def start_all(stack):
    for part in READERS:
        stack.start(part)
    stack.wait_ready(*READERS)


def duplicates(stack, part):
    text = stack.http("GET", f"/parts/{part}/metrics", role="operator").text
    return int(text.split("\ntradewind_intake_duplicates_total ")[1].split()[0])


def seen_of(shop, order):
    """What an effect that happens twice would change."""
    return shop.booked(order), shop.stack.mails(order=order)["count"], shop.events(order)


def test_every_part_set_back_to_the_beginning_applies_nothing_twice(shop):
    stack = shop.stack
    sku = shop.product(stock=10)
    order = shop.order((sku, 2))
    shop.wait_for(order, "fulfilled")
    partition = shop.records("shop.orders.v1", order)[0].partition()  # one that will be read again
    stranger = stack.produce("shop.orders.v1", b"nothing", key=b"reset", partition=partition)
    letters = stack.wait_until(
        lambda: [row for row in shop.dead_letters("fraud") if (row["partition"], row["offset"]) == stranger],
        what="fraud having set a stranger's record aside",
    )
    audited(stack)
    before = seen_of(shop, order)

    stop_all(stack)
    stack.stop("catalog")  # and with it the last part that could tell of anything
    told = len(acted(stack, "offsets.reset", "payment"))
    stack.tradewind("groups", "reset", *READERS, "--all-topics", "--to-earliest", "--execute")
    assert len(acted(stack, "offsets.reset", "payment")) == told + 1
    stack.start("catalog")
    start_all(stack)
    for part in READERS:
        stack.wait_until(lambda part=part: duplicates(stack, part) > 0, what=f"{part} reading again")
        caught_up(stack, part)

    shop.wait_for(shop.order((sku, 1)), "fulfilled")
    assert seen_of(shop, order) == before
    assert shop.stock(sku) == {"on_hand": 7, "held": 0, "sold": 3, "received": 10}
    again = [row for row in shop.dead_letters("fraud") if (row["partition"], row["offset"]) == stranger]
    assert [row["id"] for row in again] == [row["id"] for row in letters]
    for part in READERS:
        for letter in shop.dead_letters(part):
            if (letter["partition"], letter["offset"]) == stranger:
                stack.tradewind("dlq", "drop", part, letter["id"])
    audited(stack)


def test_every_part_set_on_to_the_end_passes_over_nothing(shop):
    stack = shop.stack
    sku = shop.product(stock=10)
    shop.wait_for(shop.order((sku, 1)), "fulfilled")
    for part in READERS:
        caught_up(stack, part)
    for part in ("orders", "email", "analytics"):
        stack.tradewind("groups", "pause", part)
    orders = [shop.order((sku, 1))]  # whose verdicts the order service does not read
    behind(stack, "orders")
    for part in ("inventory", "payment", "fraud"):
        stack.tradewind("groups", "pause", part)
    orders.append(shop.order((sku, 1)))  # which nobody reads
    for part in READERS:
        behind(stack, part)

    stop_all(stack)
    stack.tradewind("groups", "reset", *READERS, "--all-topics", "--to-latest", "--execute")
    start_all(stack)
    for part in READERS:
        stack.tradewind("groups", "resume", part)

    shop.wait_for_all(orders, "fulfilled")
    for part in READERS:
        caught_up(stack, part)
    assert shop.stock(sku) == {"on_hand": 7, "held": 0, "sold": 3, "received": 10}
    assert all(shop.booked(order) == [("authorize", "done"), ("capture", "done")] for order in orders)
    audited(stack)
