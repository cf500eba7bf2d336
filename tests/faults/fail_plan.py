"""The other end of fail.c: which call of a part fails next, and how many there were."""

import mmap
import shutil
import struct

KINDS = ("none", "malloc", "malloc-own", "write", "fsync", "connect")  # in the order of fail.h
NUMBERS = struct.Struct("<5Q")
OBJECT_BYTES = 256


class Plan:
    """Shared with the processes that were started with environment()."""

    def __init__(self, folder, library, name):
        self.path = folder / f"{name}.plan"
        self.library = folder / library.name
        if not self.library.exists():
            shutil.copy(library, self.library)
        self.path.write_bytes(bytes(NUMBERS.size + OBJECT_BYTES))
        self.path.chmod(0o666)
        with open(self.path, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), NUMBERS.size + OBJECT_BYTES)

    def environment(self):
        return f"env LD_PRELOAD={self.library} FAIL_PLAN={self.path}"

    def arm(self, kind, k):
        """From now on calls of this kind are counted, and the k-th fails; with 0 none does."""
        self.shared[:8] = bytes(8)  # first nothing is counted
        self.shared[8:] = bytes(len(self.shared) - 8)
        self.shared[8:16] = k.to_bytes(8, "little")
        self.shared[:8] = KINDS.index(kind).to_bytes(8, "little")

    def disarm(self):
        self.shared[:8] = bytes(8)

    @property
    def seen(self):
        return NUMBERS.unpack_from(self.shared)[2]

    @property
    def struck(self):
        return NUMBERS.unpack_from(self.shared)[3] > 0

    @property
    def where(self):
        """The caller whose call failed: an object, and the place in it."""
        name = self.shared[NUMBERS.size :].split(b"\0")[0].decode(errors="replace")
        return f"{name.rpartition('/')[2]}+{NUMBERS.unpack_from(self.shared)[4]:#x}"
