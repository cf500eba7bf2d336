"""Clocks that can be wrong: parts under libfaketime, each part's clock as far off as a file says.

Only the time of day is: a monotonic clock cannot be stepped.
"""

from pathlib import Path

LIBRARY = "faketime/libfaketimeMT.so.1"  # of the package faketime


class Clocks:
    def __init__(self, folder, parts):
        self.folder, self.parts = folder, parts
        folder.mkdir(exist_ok=True)
        for part in parts:
            self.set(part, 0)

    def settings(self):
        """Those that give the parts such a clock, for Stack.up."""
        if not self.parts:
            return {}
        (library,) = Path("/usr/lib").glob(f"*/{LIBRARY}")
        common = {
            "LD_PRELOAD": library,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
            "FAKETIME_DONT_RESET": 1,
            "FAKETIME_CACHE_DURATION": 1,  # seconds until a step is seen
        }
        return {
            f"{part}:{name}": value
            for part in self.parts
            for name, value in {**common, "FAKETIME_TIMESTAMP_FILE": self._file(part)}.items()
        }

    def set(self, part, seconds):
        """So far off from now on; below 0 is behind."""
        new = self.folder / f"{part}.new"
        new.write_text(f"{seconds:+d}\n")
        new.rename(self._file(part))

    def heal(self):
        for part in self.parts:
            self.set(part, 0)

    def _file(self, part):
        return self.folder / part
