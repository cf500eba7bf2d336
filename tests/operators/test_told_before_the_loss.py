"""A part whose database was lost goes on behind what it has told of its operators."""

from dead_letters import set_aside, told_of


def test_a_part_whose_database_was_lost_goes_on_behind_what_it_has_told(shop):
    """A rebuild makes the part's own topic again, not what operators did: those numbers are read from the topic."""
    stack = shop.stack
    drop_one(stack, "payment")
    shard = f"shard = {stack.settings['TRADEWIND_PARTITIONS']}"  # behind those of the part's own topic
    stack.wait_until(lambda: published(stack, shard) == last(stack, shard), what="all being told")
    told = last(stack, shard)
    stack.stop("payment")
    stack.sql("payment", f"UPDATE shards SET last_number = 0 WHERE {shard}")
    stack.sql("payment", f"DELETE FROM journal WHERE {shard}; DELETE FROM published WHERE {shard}")

    stack.start("payment")

    stack.wait_until(lambda: last(stack, shard) == told, what="payment having read what it told")
    letter = drop_one(stack, "payment")
    stack.wait_until(lambda: told_of(stack, "payment", letter), what="the next action being told")
    assert last(stack, shard) == told + 1


def test_what_was_told_is_not_told_again_at_the_next_start(shop):
    stack = shop.stack
    letter = drop_one(stack, "payment")
    stack.wait_until(lambda: told_of(stack, "payment", letter), what="the action being told")
    before = len(read_back(stack)), len(stack.log_lines("payment", "log_tail_lost"))

    stack.restart("payment")

    stack.wait_until(lambda: len(read_back(stack)) > before[0], what="payment having read back what it told")
    assert len(stack.log_lines("payment", "log_tail_lost")) == before[1]


def read_back(stack):
    return [line for line in stack.log_lines("payment", "relay_read_back") if line["topic"] == "shop.ops.v1"]


def drop_one(stack, part):
    """Set a record aside in the part, and drop it."""
    letter = set_aside(stack, part, "shop.orders.v1", 7)
    stack.tradewind("dlq", "drop", part, letter["id"])
    return letter


def last(stack, shard):
    return int(stack.sql("payment", f"SELECT last_number FROM shards WHERE {shard}")[0][0])


def published(stack, shard):
    return int(stack.sql("payment", f"SELECT coalesce(max(number), 0) FROM published WHERE {shard}")[0][0])
