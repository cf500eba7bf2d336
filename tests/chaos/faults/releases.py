"""Another release of Tradewind comes while orders do, and goes again."""

import random
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import KafkaException
from local_stack import Failed
from parts import PARTS

from .bench import Missed, kind

SIDE_BY_SIDE = 3  # parts
READY_S = 8  # then the next one's turn has come: other faults may keep it from its servers
TOLD_S = 30


@kind(("parts",))
def rolled_out(bench, fault):
    """The parts become the release after ours, instance after instance; the time after, they become ours again. Meanwhile, and
    ever after, each reads what both have written."""
    bench.releases.turn()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        done = pool.map(lambda part: roll_out(bench, part), random.Random(fault.seed).sample(PARTS, len(PARTS)))
    list(done)  # raises what one of them has

    def told():
        try:
            return bench.releases.is_told()
        except (Failed, KafkaException):
            return False  # the broker is away

    try:
        bench.stack.wait_until(told, TOLD_S, "events of both versions")
    except Failed as failed:
        raise Missed(f"no orders came any more: {failed}") from failed


def roll_out(bench, part):
    with bench.instances_of[part]:
        bench.releases.put(part)
        for program in (part, f"{part}-2"):
            bench.stack.restart(program)
            try:
                bench.stack.command("wait", "--timeout", str(READY_S), program)
            except Failed:
                pass
