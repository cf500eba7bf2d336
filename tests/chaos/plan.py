"""Which faults strike when: drawn from the seed alone, so that the same seed is the same plan.

A fault's moment is a number of orders that were sent, not a time: however fast the machine is, the same things meet.
"""

import random
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Fault:
    number: int
    at_order: int
    kind: str
    target: str
    seconds: float  # how long it lasts, for those that last
    seed: int  # of what else it draws

    def __str__(self):
        lasts = f" for {self.seconds} s" if self.seconds else ""
        return f"{self.number:4}  at order {self.at_order:7}  {self.kind} {self.target}{lasts}"

    def as_json(self):
        return asdict(self)


def make(seed, orders, count, kinds):
    """count faults spread over the orders. kinds: name -> (targets, (least, most) seconds).

    Every kind has its turn before one has a second.
    """
    draw = random.Random(f"plan {seed}")
    drawn = []
    while len(drawn) < count:
        turn = sorted(kinds)
        draw.shuffle(turn)
        drawn += turn
    faults = []
    for number, kind in enumerate(drawn[:count], 1):
        targets, (least, most) = kinds[kind]
        at_order = int((number - draw.uniform(0.2, 0.8)) * orders / count) + 1
        seconds = round(draw.uniform(least, most), 1)
        faults.append(Fault(number, at_order, kind, draw.choice(targets), seconds, draw.getrandbits(32)))
    return faults
