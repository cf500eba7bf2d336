"""A local stack in the hands of a test: started and stopped, its programs killed and frozen, its stores and topics read.

stack = Stack()                      # ports and folders from the environment, else free ports and a new folder
stack.up()
order = stack.http("POST", "/orders", role="customer", subject="c-1", json={...}).json()
stack.kill("payment")                # kill -9; the process manager starts it again
stack.wait_until(lambda: stack.http("GET", f"/orders/{id}", role="service").json()["state"] == "confirmed")
stack.sql("orders", "SELECT count(*) FROM journal")
stack.tradewind("audit", "--json")
stack.down()
"""

import csv
import functools
import io
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import requests
from confluent_kafka import Consumer, Producer, TopicPartition

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND = CHECKOUT / "docker" / "local" / "stack"
BUILD = Path(os.environ.get("TRADEWIND_BUILD", CHECKOUT / "build"))
PATIENCE_S = 180  # of what must come, but has not promised when; also on a machine that is busy with other things
QUIET = 2  # the client library complains of a broker that is away only when it gives up


class Failed(AssertionError):
    """A command of the stack did not do what a test relied on."""


class Stack:
    def __init__(self, build=None, base=None):
        self.environment = dict(os.environ)
        self.is_ours = "TRADEWIND_STATE" not in os.environ
        if self.is_ours:
            state = tempfile.mkdtemp(prefix="tradewind-test.", dir="/var/tmp")
            os.chmod(state, 0o755)
            self.environment["TRADEWIND_STATE"] = state
        if base or "TRADEWIND_PORT_BASE" not in os.environ:
            self.environment["TRADEWIND_PORT_BASE"] = str(base or self.command("free-base", "27000").strip())
        if build:
            self.environment["TRADEWIND_BUILD"] = str(build)
        self.state = Path(self.environment["TRADEWIND_STATE"])
        self.build = Path(build or BUILD)
        self.is_whole = False  # everything was started, and nothing was stopped, killed or changed since
        self.session = requests.Session()

    # --- the whole stack ---------------------------------------------------------------------------------------------

    def command(self, *arguments):
        """Run docker/local/stack; gives what it printed."""
        done = subprocess.run([COMMAND, *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"stack {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self, *, servers_only=False, registry=False, instances=None, brokers=None, tls=None, settings=None, under=None):
        """Start what does not run. settings hold from now on, {"TRADEWIND_X": value} for all parts or
        {"orders:TRADEWIND_X": value} for one; value None forgets one. under is what parts run under from now on,
        {"orders": "valgrind -q"}; "" ends it. Parts of which something changes are started anew."""
        words = ["--servers"] * servers_only + ["--registry"] * registry
        words += ["--instances", str(instances)] if instances else []
        words += ["--brokers", str(brokers)] if brokers else []
        words += [] if tls is None else ["--tls" if tls else "--no-tls"]
        for name, value in (settings or {}).items():
            words += ["--unset", name] if value is None else ["--set", f"{name}={value}"]
        for part, command in (under or {}).items():
            words += ["--under", f"{part}:{command}"]
        self.command("up", *words)
        self.__dict__.pop("settings", None)
        self.is_whole = False
        if not servers_only:
            self.wait_ready()
            self.is_whole = not settings and not under

    def whole(self):
        """Start what a test before has stopped. Costs nothing when none has."""
        if not self.is_whole:
            self.up()

    def down(self):
        self.command("down")
        if self.is_ours:
            shutil.rmtree(self.state, ignore_errors=True)

    def empty(self):
        self.command("empty")

    @functools.cached_property
    def settings(self):
        """The TRADEWIND_* settings of the stack."""
        return json.loads(self.command("env", "--json"))

    # --- programs ----------------------------------------------------------------------------------------------------

    def start(self, program):
        self.is_whole = False
        self.command("start", program)

    def stop(self, program):
        self.is_whole = False
        self.command("stop", program)

    def restart(self, program):
        self.is_whole = False
        self.command("restart", program)

    def pid(self, program):
        return int(self.command("pid", program))

    def kill(self, program):
        """kill -9. The process manager starts it again within a second."""
        self.is_whole = False
        os.kill(self.pid(program), signal.SIGKILL)

    def kill_frozen(self, program, pid):
        """kill -9 of a program that is frozen and is not started again. Gives a function that waits until all know of it."""
        stopping = subprocess.Popen([COMMAND, "stop", program], env=self.environment)
        # Frozen, it does not hear the process manager, which will not start it again once it has asked it to leave.
        self.wait_until(lambda: self._is_asked_to_leave(pid), what=f"{program} being asked to leave")
        os.kill(pid, signal.SIGKILL)
        return stopping.wait

    @staticmethod
    def _is_asked_to_leave(pid):
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.split("ShdPnd:")[1].split()[0], 16) & 1 << signal.SIGTERM - 1

    def freeze(self, program):
        """SIGSTOP: from outside it looks like a machine that has gone away. Gives the pid for thaw, once it stands still."""
        self.is_whole = False
        pid = self.pid(program)
        os.kill(pid, signal.SIGSTOP)
        # One thread takes the signal, when it is its turn; the others run on until then.
        self.wait_until(lambda: self._stands_still(pid), what=f"{program} standing still")
        return pid

    @staticmethod
    def _stands_still(pid):
        try:
            threads = [stat.read_text() for stat in Path(f"/proc/{pid}/task").glob("*/stat")]
        except (FileNotFoundError, ProcessLookupError):  # a thread has just ended
            return False
        return threads != [] and all(thread.rpartition(")")[2].split()[0] == "T" for thread in threads)

    def thaw(self, pid):
        os.kill(pid, signal.SIGCONT)

    def wait_ready(self, *programs):
        self.command("wait", "--timeout", str(PATIENCE_S), *programs)

    def log(self, program):
        return (self.state / "log" / f"{program}.log").read_text(errors="replace")

    def log_lines(self, program, what=None):
        """The part's log as objects, those with this `what`."""
        lines = [json.loads(line) for line in self.log(program).splitlines() if line.startswith("{")]
        return [line for line in lines if what is None or line.get("what") == what]

    # --- HTTP through the door ---------------------------------------------------------------------------------------

    @functools.cache
    def token(self, role, subject=None, *, ttl=3600):
        """ttl: seconds for which it is good."""
        words = ["--subject", subject] if subject else []
        words += ["--ttl", ttl]
        return self.tradewind("token", "--role", role, *words, as_json=False).strip()

    def http(self, method, path, *, role=None, subject=None, token=None, headers=None, timeout=30, **more):
        """A request through the door, with a token for role and subject. more as for requests.request (json=, data=)."""
        headers = dict(headers or {})
        token = token or (self.token(role, subject) if role else None)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        url = self.settings["TRADEWIND_DOOR"] + path
        trusted = self.settings.get("TRADEWIND_CA", True)
        return self.session.request(method, url, headers=headers, timeout=timeout, verify=trusted, **more)

    def trust(self):
        """For clients with TLS: trusts the servers of the stack, when they speak it."""
        file = self.settings.get("TRADEWIND_CA")
        return ssl.create_default_context(cafile=file) if file else None

    # --- stores ------------------------------------------------------------------------------------------------------

    def database_uri(self, database):
        return self.settings[f"TRADEWIND_{database.upper()}_DATABASE"]

    def sql(self, database, text, uri=None):
        """Rows as tuples of strings ("" for null), read or changed as the part's own role."""
        uri = uri or self.database_uri(database)
        command = ["psql", "-Xq", "--csv", "-t", "-v", "ON_ERROR_STOP=1", "-c", text, uri]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"sql in {database}: {text}\n{done.stderr}")
        return [tuple(row) for row in csv.reader(io.StringIO(done.stdout))]

    def mongodb(self):
        """The document store's database, by pymongo."""
        from pymongo import MongoClient

        return MongoClient(self.settings["TRADEWIND_MONGODB"], retryWrites=False).get_default_database()

    def mails(self, **filters):
        """What the mail sink has: {count, begun, message_ids, mails}; filters order=, to=, message_id=, limit=, after=."""
        return requests.get(self.settings["TRADEWIND_MAILS"] + "/mails", params=filters, timeout=10).json()

    def mail_behaviour(self, text):
        """From now on: accept, refuse, stall SECONDS, hang-up-before-250 or hang-up-after-250."""
        requests.put(self.settings["TRADEWIND_MAILS"] + "/behaviour", data=text, timeout=10).raise_for_status()

    # --- Kafka -------------------------------------------------------------------------------------------------------

    def kafka(self):
        """What clients of confluent_kafka are told, to which each adds its own."""
        servers = {"bootstrap.servers": self.settings["TRADEWIND_KAFKA"]}
        if "TRADEWIND_CA" in self.settings:
            servers |= {"security.protocol": "ssl", "ssl.ca.location": self.settings["TRADEWIND_CA"]}
        return servers

    def produce(self, topic, value, *, key=None, headers=None, partition=-1):
        """One record, as it is given; gives (partition, offset) when the broker has it."""
        reports = []
        producer = Producer({**self.kafka(), "linger.ms": 0, "log_level": QUIET})
        place = {} if partition < 0 else {"partition": partition}
        producer.produce(
            topic, value, key, headers=headers, on_delivery=lambda *report: reports.append(report), **place
        )
        producer.flush(30)
        if not reports or reports[0][0] is not None:
            raise Failed(f"produce to {topic}: {reports[0][0] if reports else 'no answer'}")
        return reports[0][1].partition(), reports[0][1].offset()

    def consume(self, *topics, last=None):
        """Every record that is in the topics now, or the last so many of each partition, as confluent_kafka messages,
        each partition in order."""
        consumer = Consumer(
            {
                **self.kafka(),
                "group.id": "test-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
                "log_level": QUIET,
            }
        )
        try:
            ends = self._ends(consumer, topics)
            consumer.assign(
                [
                    TopicPartition(topic, partition, low if last is None else max(low, high - last))
                    for (topic, partition), (low, high) in ends.items()
                ]
            )
            return self._read_to(consumer, {place: high for place, (low, high) in ends.items() if high > low})
        finally:
            consumer.close()

    def ends(self, *topics):
        """(topic, partition) -> the offset behind its last record."""
        consumer = Consumer({**self.kafka(), "group.id": "test-reader", "log_level": QUIET})
        try:
            return {place: high for place, (_, high) in self._ends(consumer, topics).items()}
        finally:
            consumer.close()

    def _ends(self, consumer, topics):
        known = consumer.list_topics(timeout=10).topics
        ends = {}
        for topic in topics:
            if topic not in known:
                raise Failed(f"there is no topic {topic}")
            for partition in known[topic].partitions:
                ends[topic, partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        return ends

    def _read_to(self, consumer, wanted):
        messages = []
        deadline = time.monotonic() + 60
        while wanted:
            if time.monotonic() > deadline:
                raise Failed(f"not read to the end in 60 s: {wanted}")
            for message in consumer.consume(1000, timeout=0.2):
                if message.error():
                    continue
                messages.append(message)
                place = message.topic(), message.partition()
                if message.offset() + 1 >= wanted.get(place, 0):
                    wanted.pop(place, None)
        return messages

    # --- the command line --------------------------------------------------------------------------------------------

    def run_tradewind(self, *arguments, settings=None, timeout=120):
        """The built command as it ended: returncode, stdout, stderr."""
        environment = {**os.environ, **self.settings, **(settings or {})}
        command = [self.build / "ops" / "tradewind", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)

    def tradewind(self, *arguments, as_json=None, timeout=120):
        """What the command printed, or with --json (or as_json) what it means. Anything but exit 0 fails."""
        done = self.run_tradewind(*arguments, timeout=timeout)
        if done.returncode != 0:
            raise Failed(
                f"tradewind {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
            )
        wants_json = "--json" in arguments if as_json is None else as_json
        return json.loads(done.stdout) if wants_json else done.stdout

    def wait_until(self, holds, seconds=PATIENCE_S, what="it"):
        """Ask until the answer is true; gives the answer."""
        return wait_until(holds, seconds, what)


def wait_until(holds, seconds=PATIENCE_S, what="it"):
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failed(f"{what} has not come true within {seconds} s; last answer: {answer!r}")
        time.sleep(0.05)
