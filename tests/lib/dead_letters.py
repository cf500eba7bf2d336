"""What tests ask of dead letters, through the command."""


def listed(stack, part, *filters):
    return stack.tradewind("dlq", "ls", part, *filters, "--json")


def set_aside(stack, part, topic, partition):
    """The dead letter that a part makes of a record that nobody can read."""
    place = stack.produce(topic, b"nothing", key=b"no order", partition=partition)
    return stack.wait_until(
        lambda: [row for row in listed(stack, part) if (row["partition"], row["offset"]) == place],
        what=f"{part} having set it aside",
    )[0]


def told_of(stack, part, letter):
    """What the part has told of what an operator did with the letter."""
    events = [record["data"] for record in stack.tradewind("ops", "log", "--part", part, "--json")]
    return [event for event in events if event["subject"] == str(letter["id"])]
