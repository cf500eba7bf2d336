"""The broker's machine loses power before the end of a log is on disk; Kafka does not wait for that."""

import os

from confluent_kafka import KafkaException
from local_stack import Failed


def lose_tail(stack, topic, partition, size):
    """Take bytes off the end of a partition's log; at most half of its last segment. The broker is started again."""
    pid = stack.freeze("kafka")
    try:
        stack.kill_frozen("kafka", pid)()
        log = max((stack.state / "kafka" / f"{topic}-{partition}").glob("*.log"))
        length = log.stat().st_size
        os.truncate(log, length - min(size, length // 2))
    finally:
        stack.start("kafka")


def ends_told(stack, *topics):
    """As stack.ends, from a broker that is on its way back."""

    def ends():
        try:
            return stack.ends(*topics)
        except (Failed, KafkaException):
            return None

    return stack.wait_until(ends, what="the broker answering")
