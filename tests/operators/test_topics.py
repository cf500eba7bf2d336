"""Topics are declared; what the cluster has otherwise is found, shown, and made so, where that harms nobody."""

import json
import uuid

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from groups import acted, no_room

LETTERS = "shop.orders.v1.fraud.dlq"  # any topic whose settings harm nobody for a while


@pytest.fixture
def admin(stack):
    return AdminClient(stack.kafka())


def set_behind_our_back(admin, topic, **settings):
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in settings.items()]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([resource])[resource].result(30)


def setting(admin, topic, name):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(30)[name].value


def partitions(admin, topic):
    found = admin.list_topics(topic, timeout=10).topics[topic]
    return 0 if found.error else len(found.partitions)


def test_a_setting_that_drifted_is_found_shown_and_put_back(stack, admin):
    assert stack.tradewind("topics", "verify", "--json") == []

    set_behind_our_back(admin, LETTERS, **{"retention.ms": "60000", "segment.bytes": "20000000"})
    found = stack.run_tradewind("topics", "verify", "--json")
    plan = stack.tradewind("topics", "plan", "--json")
    assert setting(admin, LETTERS, "retention.ms") == "60000"  # nothing was done yet
    stack.tradewind("topics", "apply", "--because", "letters were about to vanish")

    drift = {"topic": LETTERS, "step": "set", "what": "retention.ms", "is": "60000", "want": "-1", "why": None}
    assert found.returncode == 1 and json.loads(found.stdout) == [drift] and plan == [drift]
    assert setting(admin, LETTERS, "retention.ms") == "-1"
    assert setting(admin, LETTERS, "segment.bytes") == "20000000"  # what is not declared stays
    assert stack.tradewind("topics", "verify", "--json") == []
    told = acted(stack, "topics.apply", LETTERS)[-1]
    assert told["actor"] and told["reason"] == "letters were about to vanish"
    assert (json.loads(told["before"]), json.loads(told["after"])) == ({"retention.ms": "60000"}, {"retention.ms": "-1"})
    begun = acted(stack, "topics.apply.begun", LETTERS)[-1]
    assert (begun["before"], begun["after"], begun["reason"]) == (told["before"], told["after"], told["reason"])


def declared_alone(stack, folder, **settings):
    """A file that declares one topic, as it is declared, but for these settings."""
    topic = [topic for topic in stack.tradewind("topics", "list", "--json") if topic["topic"] == LETTERS][0]
    topic["settings"] |= settings
    path = folder / "topics.json"
    path.write_text(json.dumps([topic]))
    return path


def test_what_the_broker_refuses_is_told_as_failed(stack, admin, tmp_path):
    path = declared_alone(stack, tmp_path, **{"retention.ms": "soon"})

    done = stack.run_tradewind("topics", "apply", "--file", path)

    assert done.returncode not in (0, 1), done.stdout
    failed = acted(stack, "topics.apply.failed", LETTERS)[-1]
    assert json.loads(failed["after"])["error"] in done.stderr
    assert setting(admin, LETTERS, "retention.ms") == "-1"


def test_a_change_that_cannot_be_told_is_not_made(stack, admin, tmp_path):
    path = declared_alone(stack, tmp_path)
    set_behind_our_back(admin, LETTERS, **{"retention.ms": "60000"})

    with no_room(stack, "shop.ops.v1"):
        done = stack.run_tradewind("topics", "apply", "--file", path)

    assert done.returncode == 3 and "nothing was done, because shop.ops.v1: " in done.stderr
    assert setting(admin, LETTERS, "retention.ms") == "60000"
    stack.tradewind("topics", "apply")
    assert setting(admin, LETTERS, "retention.ms") == "-1"


@pytest.mark.parametrize("partitions_wanted, reason", [("24", "its key's hash"), ("7", "takes no partitions away")])
def test_a_keyed_topic_is_not_grown_in_place(stack, admin, partitions_wanted, reason):
    other = {"TRADEWIND_PARTITIONS": partitions_wanted}
    before = partitions(admin, "shop.orders.v1")

    plan = stack.run_tradewind("topics", "plan", "--json", settings=other)
    done = stack.run_tradewind("topics", "apply", settings=other)

    refused = [step for step in json.loads(plan.stdout) if step["topic"] == "shop.orders.v1"]
    assert plan.returncode == done.returncode == 1
    assert [step["step"] for step in refused] == ["refused"] and reason in refused[0]["why"]
    assert reason in done.stdout
    assert partitions(admin, "shop.orders.v1") == before
    assert stack.tradewind("topics", "verify", "--json") == []


def test_a_file_declares_topics_of_ones_own(stack, admin, tmp_path):
    name, path = f"test.{uuid.uuid4().hex}", tmp_path / "topics.json"
    ours = stack.tradewind("topics", "list", "--json")

    def declare(**more):
        path.write_text(json.dumps([*ours, {"topic": name, "settings": {"retention.ms": "60000"}, **more}]))

    declare(partitions=2, grows=True)
    assert stack.tradewind("topics", "apply", "--file", path, "--dry-run", "--json")[0]["step"] == "make"
    assert name not in admin.list_topics(timeout=10).topics
    stack.tradewind("topics", "apply", "--file", path)
    stack.wait_until(lambda: name in admin.list_topics(timeout=10).topics, what="the topic being there")
    assert (partitions(admin, name), setting(admin, name, "retention.ms")) == (2, "60000")

    declare(partitions=4, grows=True)
    stack.tradewind("topics", "apply", "--file", path)
    stack.wait_until(lambda: partitions(admin, name) == 4, what="the topic having grown")
    assert json.loads(acted(stack, "topics.apply", name)[-1]["after"]) == {"partitions": "4"}

    declare(partitions=8)  # keyed, when it does not say otherwise
    assert stack.run_tradewind("topics", "apply", "--file", path).returncode == 1
    assert partitions(admin, name) == 4

    declare(partitions=4, grows=True)
    assert stack.tradewind("topics", "verify", "--file", path, "--json") == []
    admin.delete_topics([name])[name].result(30)


def test_a_file_that_is_none_is_refused_and_nothing_is_done(stack, tmp_path):
    path = tmp_path / "topics.json"

    for text, says in (
        ("[", "topics.json"),
        ("{}", "a list of topics"),
        ('[{"topic": "x", "partitions": 0, "settings": {}}]', "partitions"),
        ('[{"topic": "x", "partitions": 1, "settings": {}, "colour": "red"}]', "colour"),
    ):
        path.write_text(text)
        done = stack.run_tradewind("topics", "apply", "--file", path)
        assert done.returncode == 2 and says in done.stderr, (text, done.stderr)
    assert stack.run_tradewind("topics", "plan", "--file", tmp_path / "none.json").returncode == 2
