"""What a run leaves lying: memory and descriptors of our processes, sizes of tables. Looked at while orders come in, and
judged when it was long enough to tell growth from filling up.
"""

import json
import os
import statistics
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from local_stack import Failed
from pymongo.errors import PyMongoError

EVERY_S = 20
WARM_S, SPAN_S = 300, 900  # a process is warm after the first; judged when it lived for both
WINDOW_S = 300  # what is compared: the median of the first and of the last such window
KIB, MIB = 1 << 10, 1 << 20
MORE = 1.2  # times as much is growth ...
MEMORY_SLACK, DESCRIPTOR_SLACK = 4 * MIB, 8  # ... when it is more than this, too
TABLE_SLACK = 16 * MIB
PASSING = ("journal", "open_orders", "owed_calls", "owed_mails", "dead_letters", "ledger")  # hold what is under way
JOURNAL_S = 120  # how long a part keeps what it has published, so that a run of an hour sees it dropped many times
JOURNAL_CYCLE_S = 1200  # in which a journal's pieces are filled and dropped, twice
FILLED_S = 900  # then the first has been dropped

SIZES = (
    "select coalesce(parent.relname, own.relname), sum(pg_total_relation_size(own.oid))"
    " from pg_class own left join pg_inherits on inhrelid = own.oid left join pg_class parent on parent.oid = inhparent"
    " where own.relkind = 'r' and own.relnamespace = 'public'::regnamespace group by 1"
)


@dataclass(frozen=True)
class Sample:
    at_s: float  # since the run began
    orders: int  # sent until then
    processes: dict = field(default_factory=dict)  # "program pid" -> (resident bytes, descriptors)
    tables: dict = field(default_factory=dict)  # "part table" -> bytes


class Watch:
    """Takes samples in a thread of its own until it is told to end; keeps them as lines of JSON."""

    def __init__(self, stack, programs, parts, load, path):
        self.stack, self.programs, self.parts, self.load, self.path = stack, programs, parts, load, path
        self.samples, self.ended = [], threading.Event()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.samples

    def _run(self):
        with open(self.path, "w", encoding="utf-8") as file:
            while not self.ended.wait(EVERY_S):
                sample = Sample(time.monotonic() - self.began, self.load.sent, self._processes(), self._tables())
                self.samples.append(sample)
                print(json.dumps(asdict(sample)), file=file, flush=True)

    def _processes(self):
        found = {}
        try:
            rows = json.loads(self.stack.command("status", "--json"))
        except Failed:
            return found
        for row in rows:
            if row["program"] in self.programs and row["pid"]:
                try:
                    pages = int(Path(f"/proc/{row['pid']}/statm").read_text().split()[1])
                    open_files = len(os.listdir(f"/proc/{row['pid']}/fd"))
                except OSError:
                    continue  # it has just ended
                found[f"{row['program']} {row['pid']}"] = (pages * os.sysconf("SC_PAGE_SIZE"), open_files)
        return found

    def _tables(self):
        found = {}
        for part in self.parts:
            try:
                rows = self.stack.sql(part, SIZES)
            except Failed:
                continue  # a fault has the server down
            found |= {f"{part} {table}": int(size) for table, size in rows if size}  # one may go while it is measured
        try:
            found["inventory ledger"] = int(self.stack.mongodb().command("dbStats")["totalSize"])
        except PyMongoError:
            pass
        return found


def judge(samples):
    """A text for each thing that grows."""
    return [*_processes(samples), *_tables(samples)]


def _processes(samples):
    lives = {}
    for sample in samples:
        for name, (memory, descriptors) in sample.processes.items():
            lives.setdefault(name, []).append((sample.at_s, memory, descriptors))
    for name, life in lives.items():
        begin, end = life[0][0], life[-1][0]
        if end - begin < WARM_S + SPAN_S:
            continue
        warm = [each for each in life if each[0] >= begin + WARM_S]
        first = [each for each in warm if each[0] < begin + WARM_S + WINDOW_S]
        last = [each for each in warm if each[0] > end - WINDOW_S]
        halves = warm[: len(warm) // 2], warm[len(warm) // 2 :]
        # Connections come and go with the load; a descriptor that is lost stays.
        for place, what, of, windows, slack, unit, unit_name in (
            (1, "resident memory", statistics.median, (first, last), MEMORY_SLACK, KIB, " KiB"),
            (2, "descriptors", min, halves, DESCRIPTOR_SLACK, 1, ""),
        ):
            was, now = (of(each[place] for each in some) for some in windows)
            if now > was * MORE and now > was + slack:
                yield f"{name}: {what} grew from {was // unit:.0f} to {now // unit:.0f}{unit_name} in {end - begin:.0f} s"


def _tables(samples):
    """What passes through is bounded; what is kept grows with the orders, and no faster."""
    if not samples or samples[-1].at_s < FILLED_S + 2 * JOURNAL_CYCLE_S:
        return
    middle, end = samples[-1].at_s - JOURNAL_CYCLE_S, samples[-1].at_s
    early = [sample for sample in samples if middle - JOURNAL_CYCLE_S < sample.at_s <= middle]
    late = [sample for sample in samples if sample.at_s > middle]
    for table in sorted({table for sample in samples for table in sample.tables}):
        was, now = ([each for each in some if table in each.tables] for some in (early, late))
        if not was or not now:
            continue
        if table.split()[1] in PASSING:
            # What a fault has held up lies there for a while; the median tells what there is day by day.
            then, later = (statistics.median(each.tables[table] for each in some) for some in (was, now))
            if later > then * MORE and later > then + TABLE_SLACK:
                yield f"{table}: grew from {then // KIB:.0f} to {later // KIB:.0f} KiB while the last {end - middle:.0f} s passed"
        else:
            before, after = _per_order(was, table), _per_order(now, table)
            if after * (now[-1].orders - now[0].orders) > TABLE_SLACK and after > before * MORE:
                yield f"{table}: grew by {after:.0f} bytes an order at the end, {before:.0f} before that"


def _per_order(samples, table):
    grown = samples[-1].tables[table] - samples[0].tables[table]
    return grown / max(1, samples[-1].orders - samples[0].orders)


def summary(samples):
    """Lines for people: most memory and descriptors of each part, and the largest tables at the end."""
    if not samples:
        return []
    most = {}
    for sample in samples:
        for name, (memory, descriptors) in sample.processes.items():
            program = name.split()[0]
            was = most.get(program, (0, 0))
            most[program] = (max(was[0], memory), max(was[1], descriptors))
    lines = ["most memory and descriptors:"]
    lines += [f"  {name:12} {memory / MIB:6.1f} MiB {files:4}" for name, (memory, files) in sorted(most.items())]
    tables = {table: size for sample in samples for table, size in sample.tables.items()}
    passing = {
        table: max(sample.tables.get(table, 0) for sample in samples) for table in tables if table.split()[1] in PASSING
    }
    lines += ["most of what passes through:"]
    lines += [f"  {name:26} {size / MIB:8.1f} MiB" for name, size in sorted(passing.items()) if size > MIB]
    return lines
