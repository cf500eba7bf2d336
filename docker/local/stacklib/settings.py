"""The TRADEWIND_* settings of a stack: what the parts, the command line and the tests are given."""

import hashlib
import secrets

from .layout import CHECKOUT

SUPERUSER = "postgres"
SCHEMAS = CHECKOUT / "schemas"


def make_secret(layout):
    """The one secret of a stack; every password is made from it."""
    path = layout.keys / "secret"
    if not path.exists():
        layout.write(path, secrets.token_hex(32) + "\n", 0o600)


def _secret(layout):
    try:
        return (layout.keys / "secret").read_text().strip()
    except FileNotFoundError:
        return ""  # there is no stack yet, and nothing that a password would open


def password(layout, role):
    return hashlib.sha256(f"{_secret(layout)}:{role}".encode()).hexdigest()[:32]


def ca(layout):
    """The file by which clients know the servers of a stack with TLS."""
    return layout.keys / "ca.pem"


def database_uri(layout, options, role, database):
    verified = f"?sslmode=verify-full&sslrootcert={ca(layout)}" if options.tls else ""
    return f"postgresql://{role}:{password(layout, role)}@{layout.address('postgres')}/{database}{verified}"


def broker_names(options):
    return ("kafka", "kafka-2", "kafka-3")[: options.brokers]


def registry_url(layout):
    return f"http://{layout.address('registry')}/apis/ccompat/v7"


def tls_settings(layout, options):
    """Where servers that speak TLS are; PostgreSQL's addresses say so themselves."""
    return {
        "TRADEWIND_KAFKA": ",".join(f"ssl://{layout.address(name)}" for name in broker_names(options)),
        "TRADEWIND_CA": str(ca(layout)),
        "TRADEWIND_MONGODB": f"mongodb://{layout.address('mongodb')}/inventory?tls=true&tlsCAFile={ca(layout)}",
        "TRADEWIND_MAIL_TLS": "must",
        "TRADEWIND_PROVIDER": f"https://{layout.address('provider-tls')}",
        "TRADEWIND_DOOR": f"https://{layout.address('door-tls')}",
    }


def stack_settings(layout, options, parts):
    """Every setting of the stack, for whoever runs beside it."""
    settings = {
        "TRADEWIND_KAFKA": ",".join(map(layout.address, broker_names(options))),
        "TRADEWIND_MONGODB": f"mongodb://{layout.address('mongodb')}/inventory",
        "TRADEWIND_SMTP": f"smtp://{layout.address('smtp')}",
        "TRADEWIND_MAILS": f"http://{layout.address('mails')}",
        "TRADEWIND_DOOR": f"http://{layout.address('door')}",
        "TRADEWIND_REGISTRY": registry_url(layout) if options.registry else "",
        "TRADEWIND_SCHEMAS": str(layout.installed(SCHEMAS)),
        "TRADEWIND_JWKS": str(layout.keys / "jwks.json"),
        "TRADEWIND_SIGNING_KEY": str(layout.keys / "signing.jwk"),
        "TRADEWIND_CONTACT_KEY": str(layout.keys / "contact.key"),
        "TRADEWIND_PARTITIONS": "12",
        # Requests in 10 seconds that the door takes from one client; services are not counted.
        "TRADEWIND_DOOR_RATE": "2000",
    }
    for part in parts:
        settings[part.http_setting()] = part.address(layout)
        if part.name == "provider":
            settings["TRADEWIND_PROVIDER"] = f"http://{part.address(layout)}"
        if part.database:
            settings[part.database_setting()] = database_uri(layout, options, part.name, part.name)
    if options.tls:
        settings.update(tls_settings(layout, options))
    settings.update(options.settings_of(""))
    return settings


def part_settings(layout, options, parts, part, instance):
    """The settings of one process: those its service names, and those the stack was told."""
    everything = stack_settings(layout, options, parts)
    everything["TRADEWIND_INSTANCE"] = f"{part.name}-{instance}"
    if instance > 1:
        everything[part.http_setting()] = part.address(layout, instance)
    own = {name: everything[name] for name in part.settings if name in everything}
    told = {name: value for name, value in options.settings_of("").items() if not name.startswith("TRADEWIND_DOOR")}
    return own | told | options.settings_of(part.name)
