"""Which release of Tradewind the parts of a run are. Programs and schemas lie in a folder of the run's own, where those of
the release after ours (next-release) are put in their place, and ours again.
"""

import json
import shutil
import subprocess

from local_stack import CHECKOUT

NEXT = CHECKOUT / "build-check-next"
CHANGED = ("order.created", "payment.authorized")  # the saga's events of which the next release has another version
LOOK_BACK = 2000  # records of a partition, for both versions of an event


class Releases:
    def __init__(self, stack, folder):
        """Builds the next release when it is not there."""
        subprocess.run([CHECKOUT / "tests" / "chaos" / "next-release", stack.build, NEXT], stdout=2, check=True)
        self.stack, self.programs, self.schemas = stack, folder / "programs" / "bin", folder / "schemas"
        self.builds = {False: stack.build, True: NEXT / "build"}
        self.written_as = {False: newest(CHECKOUT / "schemas"), True: newest(NEXT / "schemas")}
        self.is_next = False
        shutil.copytree(CHECKOUT / "schemas", self.schemas)
        for program in (*programs(stack.build), *programs(stack.build / "ops")):
            place(program, self.programs / program.name)
        stack.environment["TRADEWIND_BUILD"] = str(self.programs.parent)

    def settings(self):
        """For Stack.up."""
        return {"TRADEWIND_SCHEMAS": str(self.schemas)}

    def turn(self):
        """From now on parts become the other release. Its schemas are there before its programs, and their list comes last;
        they stay when the programs go back, since what was written with them stays too."""
        self.is_next = not self.is_next
        files = [path for path in (NEXT / "schemas").rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path.name == "ids.lock"):
            place(path, self.schemas / path.relative_to(NEXT / "schemas"))

    def put(self, part):
        """The part's program is that of the release now; what runs is what it was."""
        (program,) = self.builds[self.is_next].glob(f"*/tradewind-{part}")
        place(program, self.programs / program.name)

    def is_told(self):
        """Of each event that changed, in some partition this release's version lies behind the other's."""
        topics = sorted({topic for topic, _ in self.written_as[True].values()})
        records = self.stack.consume(*topics, last=LOOK_BACK)
        return all(
            lies_behind(records, self.written_as[self.is_next][event], self.written_as[not self.is_next][event])
            for event in CHANGED
        )


def programs(build):
    return [path for path in build.glob("*/tradewind*") if path.is_file()]


def newest(schemas):
    """event -> (topic, schema id) that a release with these schemas writes it as."""
    rows = json.loads((schemas / "ids.lock").read_text())["schemas"]
    return {row["type"]: (row["subject"].split("-")[0], row["id"]) for row in rows if row["type"] in CHANGED}


def lies_behind(records, later, earlier):
    """records: each partition in order. later, earlier: (topic, schema id)."""
    begun = set()
    for record in records:
        value = record.value() or b""
        written_as = record.topic(), int.from_bytes(value[1:5], "big")
        if written_as == earlier:
            begun.add(record.partition())
        elif written_as == later and record.partition() in begun:
            return True
    return False


def place(path, there):
    """As packages do it: what has the old file open keeps it."""
    there.parent.mkdir(parents=True, exist_ok=True)
    new = there.with_name(there.name + ".new")
    shutil.copy(path, new)
    new.rename(there)
