"""Servers whose machine can lose its power: the data of each lies on a file system of its own, in a file, that can be shut down
as a power cut does it. What the kernel had not written is gone, its journal too; what was fsynced is there.
"""

import fcntl
import os
import struct
import subprocess

SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125  # EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32)
NOLOGFLUSH = 2
SIZE = 8 << 30  # that much may come to lie there; the file has holes
UNMOUNT_S = 60


class Power:
    def __init__(self, stack, folder, servers):
        """Of a stack that has been up; it is stopped."""
        self.stack, self.folder, self.servers = stack, folder, servers
        self.bytes_before = {}
        folder.mkdir(exist_ok=True)
        stack.command("down")
        for server in servers:
            self._move(server)

    def cut(self, server):
        """From now on nothing reaches the disk."""
        self.bytes_before[server] = self._bytes(server)
        data = os.open(self._data(server), os.O_RDONLY)
        try:
            fcntl.ioctl(data, SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(data)

    def back(self, server):
        """The server has ended. What is there is what was on the disk; gives how many bytes of its files are gone."""
        self._unmount(server)
        self._mount(server)
        return self.bytes_before[server] - self._bytes(server)

    def close(self):
        for server in self.servers:
            self._unmount(server)

    def _move(self, server):
        data, image, was = self._data(server), self._image(server), self.folder / server
        with open(image, "wb") as file:
            file.truncate(SIZE)
        run("mkfs.ext4", "-q", "-F", image)
        data.rename(was)
        data.mkdir(mode=0)  # so that no server begins anew where its disk is missing
        self._mount(server)
        (data / "lost+found").rmdir()  # a broker takes every folder for a partition
        run("cp", "-a", f"{was}/.", data)
        run("sync", "-f", data)

    def _mount(self, server):
        run("mount", "-o", "loop", self._image(server), self._data(server))

    def _unmount(self, server):
        """Once nobody has a file open there."""
        data = self._data(server)

        def unmounted():
            return not os.path.ismount(data) or subprocess.run(["umount", data], capture_output=True).returncode == 0

        self.stack.wait_until(unmounted, UNMOUNT_S, f"nobody using {data}")

    def _bytes(self, server):
        done = subprocess.run(["du", "-sb", self._data(server)], capture_output=True, text=True)
        return int(done.stdout.split()[0])  # files come and go meanwhile: it says so, and counts the others

    def _data(self, server):
        return self.stack.state / server

    def _image(self, server):
        return self.folder / f"{server}.img"


def run(*command):
    subprocess.run(command, check=True, capture_output=True)
