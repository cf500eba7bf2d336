"""Parts whose clock can be off, and which can be made to die at marked points of their work.

Both are the doing of preload.c, which lies between such a part and its libraries and is told by a file.
"""

import shutil
import struct

POINTS = (  # in the order of preload.c
    "before_commit",
    "commit_sent",
    "after_commit",
    "before_send",
    "before_report",
    "after_report",
    "at_assignment",
    "after_assignment",
    "at_revocation",
    "after_answer",
    "after_mail",
)
CLOCK = 0
NUMBER = struct.Struct("q")


class Preload:
    """The parts are those that a plan has something of this kind for: others run as they are shipped."""

    def __init__(self, folder, library, parts):
        self.folder, self.parts = folder, parts
        folder.mkdir(exist_ok=True)
        self.library = shutil.copy(library, folder) if parts else None  # to where the parts' user may read it
        for part in parts:
            self._file(part).write_bytes(bytes(NUMBER.size * (1 + len(POINTS))))
            self._file(part).chmod(0o666)

    def under(self):
        """What the parts run under, for Stack.up."""
        return {part: f"env LD_PRELOAD={self.library} CHAOS_ORDERS={self._file(part)}" for part in self.parts}

    def set_clock(self, part, seconds):
        """So far off from now on; below 0 is behind."""
        self._write(part, CLOCK, seconds)

    def arm(self, part, point, passings):
        """Whoever passes the point for the so manieth time from now on dies there; 0: nobody does."""
        self._write(part, 1 + POINTS.index(point), passings)

    def left(self, part, point):
        with open(self._file(part), "rb") as file:
            file.seek(NUMBER.size * (1 + POINTS.index(point)))
            return NUMBER.unpack(file.read(NUMBER.size))[0]

    def heal(self):
        for part in self.parts:
            for place in range(1 + len(POINTS)):
                self._write(part, place, 0)

    def _write(self, part, place, number):
        with open(self._file(part), "r+b") as file:
            file.seek(NUMBER.size * place)
            file.write(NUMBER.pack(number))

    def _file(self, part):
        return self.folder / part
