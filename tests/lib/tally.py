"""Counts what the stages of ./check left behind, names what failed, and ends with the one line that sums up."""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

SHOWN = 600  # characters of why something failed: enough for the logs' names and what a program said


def cases(path):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        broken = next((child for child in case if child.tag in ("failure", "error")), None)
        skipped = any(child.tag == "skipped" for child in case)
        name = f"{case.get('classname', '')} {case.get('name', '')}".strip()
        yield name, "failed" if broken is not None else "skipped" if skipped else "passed", broken


def why(broken):
    """The reason on one line."""
    lines = (broken.get("message") or broken.text or "").strip().splitlines()
    return " / ".join(line.strip() for line in lines)[:SHOWN]


def tell(failures):
    """A reason that many share, such as a stack that did not start, once."""
    said = {}
    for name, reason in failures:
        first = said.setdefault(reason, name)
        print(f"    FAILED {name}: {reason if first == name else 'as ' + first}")


def count(folder):
    """(counts, names of failures) of one stage."""
    counts, failures = {"passed": 0, "failed": 0, "skipped": 0}, []
    for path in sorted(folder.glob("*.xml")):
        for name, outcome, broken in cases(path):
            counts[outcome] += 1
            if broken is not None:
                failures.append((name, why(broken)))
    if (folder / "broken").exists() and counts["failed"] == 0:
        counts["failed"] = 1
        failures.append((folder.name, "the stage broke: see above"))
    return counts, failures


def main(results):
    total = {"passed": 0, "failed": 0, "skipped": 0}
    for folder in sorted(Path(results).iterdir(), key=lambda path: path.stat().st_ctime):
        counts, failures = count(folder)
        print(
            f"  {folder.name:12} {counts['passed']:5} passed {counts['failed']:4} failed {counts['skipped']:4} skipped"
        )
        tell(failures)
        for outcome, number in counts.items():
            total[outcome] += number
    print(f"\n{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
