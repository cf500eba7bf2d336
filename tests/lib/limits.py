"""A program that finds no room."""

import os
import resource
import subprocess


def limited(stack, program, *words, bytes_max):
    """Run it so that no file may become larger than that, as if the disk were full there."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, bytes_max))

    environment = {**os.environ, **stack.settings}
    return subprocess.run([program, *map(str, words)], env=environment, capture_output=True, text=True, preexec_fn=limit)
