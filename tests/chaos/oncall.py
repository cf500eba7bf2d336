"""Who looks after the shop during a run: does what docs/runbook.md says about what the parts say and do not mend themselves.
Who is given no partitions by its group, although the broker answers, has the brokers ended and started again."""

import signal
import threading
import time

from faults import INSTANCES, Missed

EVERY_S = 5
PATIENCE_S = 25  # others say it as well; who says it after a restart has waited for 30 s since, and means that one
SAYS = '"what":"no_partitions"'


class OnCall:
    """with OnCall(bench, say) as on_call: ...; then on_call.restarts says how often."""

    def __init__(self, bench, say):
        self.bench, self.say, self.restarts = bench, say, 0
        self.read = {}  # instance -> how far its log was read
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _run(self):
        rests_until = 0
        while not self.over.wait(EVERY_S):
            complain = [instance for instance in INSTANCES if SAYS in self._said(instance)]
            if complain and time.monotonic() > rests_until:
                self.restarts += 1
                rests_until = time.monotonic() + PATIENCE_S
                self.say(f"no partitions for {', '.join(complain)}: the brokers are started again")
                for broker in self.bench.network.brokers:
                    self._restart(broker)

    def _said(self, instance):
        """What its log has got since the last look."""
        try:
            with open(self.bench.stack.state / "log" / f"{instance}.log", "rb") as log:
                begun = self.read.get(instance, 0)
                log.seek(begun if begun <= log.seek(0, 2) else 0)  # a shorter file is a new one
                text = log.read()
                self.read[instance] = log.tell()
                return text.decode(errors="replace")
        except FileNotFoundError:
            return ""

    def _restart(self, broker):
        try:
            self.bench.signal(broker, signal.SIGTERM)  # the process manager starts it again
        except Missed:
            pass  # it is being started already
