"""What the thread sanitizer has reported of our code.

usage: races.py LOG...    prints the reports that count, and ends with 1 when there is one

A race is between two accesses. It counts when both are made by our code, or by a library that is not named below: the
code at the top of a stack makes the access, whoever called it. So what our callbacks do counts, whichever library
calls them.
"""

import re
import sys
from pathlib import Path

# Libraries that were not compiled for the sanitizer, each with why it sees races that are none.
LIBRARIES = {
    "librdkafka.so": "hands a message over by counting its references atomically, which the sanitizer cannot see: "
    "so its freeing a message that we have read and given back looks like a race with our reading",
    "libsasl2.so": "librdkafka's; opens and closes folders, and the sanitizer takes the number of a descriptor that was "
    "closed and opened again for one descriptor",
}
MARK = "WARNING: ThreadSanitizer: "


def reports(text):
    return [piece for piece in re.split(r"^={18}$", text, flags=re.MULTILINE) if MARK in piece]


def accesses(report):
    """The first two stacks of a report, each as its lines."""
    stacks = re.findall(r"^  \S.*:\n((?:    #\d+ .*\n)+)", report, re.MULTILINE)
    return [stack.splitlines() for stack in stacks[:2]]


def made_by(stack):
    """The object whose code made the access: the first that is not the sanitizer itself."""
    objects = [match[1] for line in stack if (match := re.search(r"\(([^()+]+)\+0x[0-9a-f]+\)", line))]
    return next((name for name in objects if not name.startswith("libtsan")), "")


def counts(report):
    makers = [made_by(stack) for stack in accesses(report)]
    return not any(maker.startswith(tuple(LIBRARIES)) for maker in makers)


def found(text):
    return [report for report in reports(text) if counts(report)]


def main(paths):
    logs = [path for path in map(Path, paths) if path.exists()]  # a shell leaves a pattern that nothing matches
    bad = [(path, report) for path in logs for report in found(path.read_text(errors="replace"))]
    for path, report in bad:
        print(f"{path}:{report}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
