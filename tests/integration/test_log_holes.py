"""Before a journal forgets, its relay looks whether the topic holds it all; prove_log.c is a relay with a journal."""

import subprocess
import time

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from local_stack import BUILD, wait_until

LAST = 30
HOUR_S = 3600
BEYOND_READING_BACK = 10_002  # records: what a relay reads back at least when it begins
PROGRAM = BUILD / "tests" / "integration" / "prove_log"


@pytest.fixture
def topic(stack):
    name = f"test.hole.{time.time_ns()}"
    admin = AdminClient(stack.kafka())
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    yield name
    admin.delete_topics([name])[name].result(30)


def write(stack, topic, numbers, age_s):
    producer = Producer(stack.kafka())
    for number in numbers:
        producer.produce(
            topic,
            key="key",
            value=str(number),
            headers={"ce_id": f"hole/0/{number}", "ce_sequence": str(number)},
            partition=0,
            timestamp=int((time.time() - age_s) * 1000),
        )
        producer.poll(0)
    producer.flush(30)


def numbers_in(stack, topic):
    wait_until(lambda: stack.ends(topic), what=f"{topic} being there")
    return [int(message.value()) for message in stack.consume(topic)]


def as_a_new_reader_takes_it(numbers):
    """The highest number that a reader reaches who applies exactly the next one."""
    reached = 0
    for number in numbers:
        reached += number == reached + 1
    return reached


def run(stack, topic, *, since_s=2 * HOUR_S, gone=0):
    environment = {**stack.environment, **stack.settings}
    command = [PROGRAM, topic, str(LAST), str(since_s), str(gone)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_what_the_topic_holds_may_be_forgotten(stack, topic):
    write(stack, topic, range(1, LAST + 1), HOUR_S)

    done = run(stack, topic)

    assert done.returncode == 0, done.stderr
    assert numbers_in(stack, topic) == list(range(1, LAST + 1))


def test_a_hole_that_all_readers_are_behind_is_filled_before_it_is_forgotten(stack, topic):
    """Numbers 7 and 8 are lost, so long ago that the relay, which begins anew, does not see that far back."""
    write(stack, topic, [*range(1, 7), *range(9, LAST + 1)], HOUR_S)
    write(stack, topic, [LAST] * BEYOND_READING_BACK, 0)

    done = run(stack, topic)

    assert done.returncode == 0, done.stderr
    assert '"log_hole"' in done.stderr and '"number":7' in done.stderr
    found = numbers_in(stack, topic)
    assert as_a_new_reader_takes_it(found) == LAST
    assert found[LAST - 2 + BEYOND_READING_BACK :] == list(range(7, LAST + 1))


def test_what_retention_has_taken_was_there(stack, topic):
    write(stack, topic, range(1, LAST + 1), HOUR_S)
    admin = AdminClient(stack.kafka())
    (taken,) = admin.delete_records([TopicPartition(topic, 0, 10)]).values()
    taken.result(30)

    done = run(stack, topic)

    assert done.returncode == 0, done.stderr
    assert numbers_in(stack, topic) == list(range(11, LAST + 1))


def test_what_is_in_neither_topic_nor_journal_is_not_asked_for(stack, topic):
    write(stack, topic, [*range(1, 7), *range(8, LAST + 1)], HOUR_S)
    write(stack, topic, [LAST] * BEYOND_READING_BACK, 0)

    done = run(stack, topic, gone=7)

    assert done.returncode == 0, done.stderr
    assert '"log_hole"' not in done.stderr
    assert len(numbers_in(stack, topic)) == LAST - 1 + BEYOND_READING_BACK


def test_records_that_are_older_than_the_journal_says_are_found(stack, topic):
    """The clock that stamped them was hours behind the database's."""
    write(stack, topic, range(1, LAST + 1), 5 * HOUR_S)

    done = run(stack, topic, since_s=HOUR_S)

    assert done.returncode == 0, done.stderr
    assert '"log_hole"' not in done.stderr
    assert numbers_in(stack, topic) == list(range(1, LAST + 1))
