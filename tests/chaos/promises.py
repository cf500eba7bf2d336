"""What the shop has promised, on disk: a line of JSON for each answer that binds it, fsynced.

    {"asked": 7, "customer": ..., "key": ..., "total": 1250, "mail": true}     before the first attempt
    {"promised": 7, "order": ...}                                              201; again for each repeated 201
    {"cancelled": ORDER}                                                       200 or 202 to its cancellation
    {"refused": 7, "status": 422, "body": ...}                                 an answer that no repeat would change
    {"unanswered": 7}                                                          asked to the end of the load, in vain

Whoever reads it needs nothing of the process that wrote it.
"""

import json
import os
import threading
from dataclasses import dataclass, field

SYNC_S = 0.05


@dataclass
class Asked:
    customer: str
    key: str
    total: int
    mail: bool


@dataclass
class Promises:
    asked: dict = field(default_factory=dict)  # number -> Asked
    promised: dict = field(default_factory=dict)  # number -> the order ids that answers have named
    cancelled: set = field(default_factory=set)  # order ids
    refused: list = field(default_factory=list)  # (number, status, body)
    unanswered: list = field(default_factory=list)  # numbers

    def orders(self):
        """order id -> number of the request, of every 201."""
        return {order: number for number, orders in self.promised.items() for order in orders}


class Log:
    """Appends. Lines are on disk within SYNC_S of being written: one fsync serves all that came meanwhile."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.closing = threading.Event()
        self.syncer = threading.Thread(target=self._sync, daemon=True)
        self.syncer.start()

    def write(self, **line):
        self.file.write(json.dumps(line) + "\n")

    def _sync(self):
        done = False
        while not done:
            done = self.closing.wait(SYNC_S)
            self.file.flush()
            os.fsync(self.file.fileno())

    def close(self):
        self.closing.set()
        self.syncer.join()
        self.file.close()


def read(path):
    promises = Promises()
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):  # else the writer died in it
                _take(promises, json.loads(line))
    return promises


def _take(promises, line):
    if "asked" in line:
        promises.asked[line["asked"]] = Asked(line["customer"], line["key"], line["total"], line["mail"])
    elif "promised" in line:
        promises.promised.setdefault(line["promised"], set()).add(line["order"])
    elif "cancelled" in line:
        promises.cancelled.add(line["cancelled"])
    elif "refused" in line:
        promises.refused.append((line["refused"], line["status"], line["body"]))
    else:
        promises.unanswered.append(line["unanswered"])
