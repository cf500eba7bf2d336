"""What tests ask of consumer groups, through the command."""

from contextlib import contextmanager

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType


def shown(stack, group):
    return stack.tradewind("groups", "show", group, "--json")


def applied(group):
    """Up to which number the group's part has applied all, of each partition."""
    return {(place["topic"], place["partition"]): place["applied"] for place in group["positions"]}


def wait_for_lag(stack, group, holds, what):
    """The group as it is shown when its lag is such."""

    def such():
        now = shown(stack, group)
        return now if now["flow"] and holds(now["lag"]) else None

    return stack.wait_until(such, what=f"{group} {what}")


def caught_up(stack, group):
    return wait_for_lag(stack, group, lambda lag: lag == 0, "having applied all")


def behind(stack, group):
    return wait_for_lag(stack, group, lambda lag: lag > 0, "being behind")


def acted(stack, action, subject):
    """What was told of an action on a subject, oldest first."""
    events = stack.tradewind("ops", "log", "--action", action, "--json")
    return [event["data"] for event in events if event["data"]["subject"] == subject]


@contextmanager
def no_room(stack, topic):
    """Meanwhile the broker takes no record into the topic."""
    admin = AdminClient(stack.kafka())
    resource = ConfigResource(ResourceType.TOPIC, topic)
    was = admin.describe_configs([resource])[resource].result(30)["max.message.bytes"].value

    def take(max_bytes):
        entry = ConfigEntry("max.message.bytes", max_bytes, incremental_operation=AlterConfigOpType.SET)
        change = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin.incremental_alter_configs([change])[change].result(30)

    take("1")
    try:
        yield
    finally:
        take(was)


def audited(stack):
    """An audit that finds nothing, when all that is under way has come to its end."""

    def clean():
        done = stack.run_tradewind("audit", "--json")
        return done if done.returncode == 0 else None

    return stack.wait_until(clean, what="an audit that finds nothing")


def places_of(stack, group):
    """instance -> the (topic, partition)s that a group's member of that name has."""
    admin = AdminClient(stack.kafka())
    described = admin.describe_consumer_groups([group], request_timeout=10)[group].result(30)
    return {
        member.group_instance_id: {(place.topic, place.partition) for place in member.assignment.topic_partitions}
        for member in described.members
    }


def commit(stack, group, *places):
    """Set what a group has committed, (topic, partition, offset) each, as soon as it has no members."""
    settings = {**stack.kafka(), "group.id": group, "enable.auto.commit": False}
    consumer = Consumer(settings)

    def committed():
        try:
            done = consumer.commit(offsets=[TopicPartition(*place) for place in places], asynchronous=False)
        except KafkaException:
            return False
        return all(place.error is None for place in done)

    try:
        stack.wait_until(committed, what=f"{group} having left, and its offsets being set")
    finally:
        consumer.close()
