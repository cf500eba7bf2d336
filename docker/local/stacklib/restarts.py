"""An extension of the process manager (supervisord loads it as an RPC interface): what ends is started again at once.

supervisord notices an end by the closed pipe, but starts programs only when it looks around next, after a second in which
nothing else happens: half of the time in which a part should be back. So an end makes it look again.
What ran for less than a second waits as before: a program that cannot start is not started without a pause.
"""

import os

from supervisor import events

SHORT_S = 1


class _Bell:
    """A pipe in supervisord's loop: ringing it makes the loop go round once more."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self):
        try:
            os.write(self.write_end, b"\0")
        except BlockingIOError:
            pass  # it rings already

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_read_event(self):
        os.read(self.read_end, 4096)

    def handle_error(self):
        raise


def make(supervisord, **_):
    bell = _Bell()

    def ended(event):
        process = event.process
        if process.laststop - process.laststart >= SHORT_S:
            bell.ring()

    os.environ.pop("PYTHONPATH", None)  # it was there to find this; programs inherit what is left
    supervisord.options.get_socket_map()[bell.read_end] = bell
    events.subscribe(events.ProcessStateExitedEvent, ended)
    return object()  # it answers no calls
