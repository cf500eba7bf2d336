"""The door's configuration: docker/local/haproxy.cfg.in with this stack's routes, keys and addresses."""

import base64
import http
import json
import re

from .layout import HERE, find_program
from .servers import Program, certificate, run_quietly
from .settings import stack_settings

BODY_BYTES = 1 << 20
# A whole catalogue, or the opening stock of a warehouse, comes in few requests.
ARRAY_BODY_BYTES = 8 << 20
ARRAY_ROUTES = ("/products", "/stock/receipts")

# slug: status, detail. Slugs and titles are those of the parts (runtime/http.c), where they have them.
PROBLEMS = {
    "bad-request": (400, "the request is not well-formed HTTP"),
    "no-token": (401, "want Authorization: Bearer TOKEN"),
    "bad-token": (401, "want a JWT by ES256 with a key of /.well-known/jwks.json, iss and aud tradewind"),
    "expired-token": (401, "the token is not valid at this time: see its exp and nbf"),
    "wrong-role": (403, "the role of the token may not do this"),
    "unknown-path": (404, "there is nothing at this path"),
    "timeout": (408, "the request did not arrive in time"),
    "length-required": (411, "want a body with Content-Length, not with Transfer-Encoding"),
    "body-too-large": (413, f"want at most {BODY_BYTES} bytes of body, {ARRAY_BODY_BYTES} for arrays"),
    "too-many-requests": (429, "slow down and try again"),
    "internal": (500, "the door failed"),
    "bad-gateway": (502, "the answer of the part is not usable"),
    "unavailable": (503, "the part does not answer now: try again"),
    "gateway-timeout": (504, "the part did not answer in time"),
}
TITLES = {413: "Content Too Large"}  # as RFC 9110 has it; Python's table has the older words

# Those that HAProxy finds by itself; the others are rules of ours.
FOUND_BY_HAPROXY = (
    "bad-request",
    "timeout",
    "body-too-large",
    "internal",
    "bad-gateway",
    "unavailable",
    "gateway-timeout",
)

HEADERS = {
    401: {"WWW-Authenticate": "Bearer realm=tradewind"},
    429: {"Retry-After": "2", "RateLimit-Policy": '"client";q=@RATE@;w=10', "RateLimit": '"client";r=0;t=2'},
    503: {"Retry-After": "1"},
}


def title(status):
    return TITLES.get(status) or http.HTTPStatus(status).phrase


def problem_body(slug):
    status, detail = PROBLEMS[slug]
    problem = {"type": f"urn:tradewind:problem:{slug}", "title": title(status), "status": status, "detail": detail}
    return json.dumps(problem, separators=(",", ":"))


def refusal(slug, condition):
    """A rule that answers with a problem. Its body is one quoted word: no text in it has single quotes."""
    status = PROBLEMS[slug][0]
    headers = "".join(f"hdr {name} '{value}' " for name, value in HEADERS.get(status, {}).items())
    body = problem_body(slug)
    return f"http-request return status {status} content-type application/problem+json {headers}string '{body}' if {condition}"


def error_file(slug):
    """A whole response, for the errors that HAProxy finds by itself."""
    status, _ = PROBLEMS[slug]
    body = problem_body(slug)
    headers = {
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **HEADERS.get(status, {}),
    }
    lines = [f"HTTP/1.1 {status} {title(status)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", body])


# --- keys -----------------------------------------------------------------------------------------------------------

# What stands before the coordinates of a P-256 point in a SubjectPublicKeyInfo (RFC 5480).
P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


def _unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def public_key_pem(key):
    der = P256_PREFIX + _unbase64(key["x"]) + _unbase64(key["y"])
    return f"-----BEGIN PUBLIC KEY-----\n{base64.encodebytes(der).decode()}-----END PUBLIC KEY-----\n"


def verify_rules(layout):
    """A rule for every key in jwks.json; HAProxy reads keys as PEM."""
    rules = []
    for number, key in enumerate(json.loads((layout.keys / "jwks.json").read_text())["keys"]):
        path = layout.write(layout.etc / f"door-key-{number}.pem", public_key_pem(key))
        rules.append(
            "http-request set-var(txn.good) bool(true) if has_token !is_good is_es256 is_from_us is_for_us "
            f'{{ var(txn.kid) -m str -- {key["kid"]} }} {{ var(txn.token),jwt_verify("ES256","{path}") -m int 1 }}'
        )
    return rules


# --- the provider ---------------------------------------------------------------------------------------------------

PROVIDER_TLS = """
# The provider's sandbox, with TLS, as an outside company has it.
listen provider-tls
    mode tcp
    option tcplog
    bind {address} ssl crt {certificate}
    server provider {provider}
"""


def provider_tls(layout, parts):
    provider = next(part for part in parts if part.name == "provider")
    return PROVIDER_TLS.format(
        address=layout.address("provider-tls"), certificate=certificate(layout), provider=provider.address(layout)
    )


# --- the configuration -----------------------------------------------------------------------------------------------


def servers_of(layout, part, instances, check):
    return [
        f"    server {part.name}-{number} {part.address(layout, number)}{check}"
        for number in range(1, part.instances(instances) + 1)
    ]


def backends(layout, parts, instances):
    """Two for each part: for its routes only instances that can answer; for operators, who ask why one is not ready, all.

    A part takes requests while the broker is down, when it is not ready. Only where one instance works for all is ready
    the one that does."""
    lines = []
    for part in parts:
        if part.routes:
            probe = "readyz" if part.one_leads else "livez"
            lines += [f"backend {part.name}", f"    option httpchk GET /{probe}"]
            lines += servers_of(layout, part, instances, " check")
        lines += [f"backend {part.name}.operator", *servers_of(layout, part, instances, "")]
    return lines


def routes(parts):
    operator = [f"use_backend {part.name}.operator if {{ var(txn.part) -m str {part.name} }}" for part in parts]
    return operator + [f"use_backend {part.name} if to_{part.name}" for part in parts if part.routes]


def route_acls(parts):
    lines = []
    for part in parts:
        for route in part.routes:
            lines += [f"acl to_{part.name} path {route}", f"acl to_{part.name} path_beg {route}/"]
    return lines


def indented(lines):
    return "\n".join(f"    {line}" for line in lines)


def filled(text, values):
    return re.sub(r"@([A-Z_]+)@", lambda found: str(values[found[1]]), text)


def config(layout, options, parts):
    opened = [route for part in parts for route in part.open]
    values = {
        "RUN": layout.run,
        "ERROR_FILES": indented(f"errorfile {PROBLEMS[slug][0]} {layout.etc}/{slug}.http" for slug in FOUND_BY_HAPROXY),
        "HTTP": layout.port("door"),
        "HTTPS": layout.port("door-tls"),
        "CERTIFICATE": certificate(layout),
        "ARRAY_ROUTES": " ".join(ARRAY_ROUTES),
        "BODY_BYTES": BODY_BYTES,
        "ARRAY_BODY_BYTES": ARRAY_BODY_BYTES,
        "LANDING": layout.etc / "landing.html",
        "JWKS": layout.keys / "jwks.json",
        "VERIFY": indented(verify_rules(layout)),
        "RATE": stack_settings(layout, options, parts)["TRADEWIND_DOOR_RATE"],
        "PARTS": "|".join(part.name for part in parts),
        "OPEN": " ".join(opened),
        "OPEN_BELOW": " ".join(f"{route}/" for route in opened),
        "ROUTE_ACLS": indented(route_acls(parts)),
        "TO_NONE": " !".join(f"to_{part.name}" for part in parts if part.routes),
        "ROUTES": indented(routes(parts)),
        "BACKENDS": "\n".join(backends(layout, parts, options.instances)),
    }
    text = (HERE / "haproxy.cfg.in").read_text()
    text = filled(re.sub(r"@REFUSE (\S+) IF (.*)", lambda found: refusal(found[1], found[2]), text), values)
    return text + (provider_tls(layout, parts) if options.tls else "")


def landing_page(layout, parts):
    rows = "".join(f"<tr><td><code>{route}</code><td>{part.name}\n" for part in parts for route in part.routes)
    probes = " ".join(f'<a href="/parts/{part.name}/readyz">{part.name}</a>' for part in parts)
    values = {"ROUTES": rows, "PROBES": probes}
    values |= {"DOOR": f"http://{layout.address('door')}", "MAILS": f"http://{layout.address('mails')}/"}
    return filled((HERE / "landing.html.in").read_text(), values)


def door_program(layout, options, parts):
    ports = [layout.port(name) for name in ("door", "door-tls", *(["provider-tls"] if options.tls else []))]
    if not (layout.keys / "jwks.json").exists():
        return Program("door", [], ports, missing="there are no keys yet: tradewind is not built")
    command = [find_program("haproxy", "/usr/sbin/haproxy"), "-db", "-f", f"{layout.etc}/haproxy.cfg"]
    files = [layout.etc / "haproxy.cfg", layout.etc / "landing.html", layout.keys / "jwks.json"]
    return Program("door", command, ports, made_from=files)


def door_prepare(layout, options, parts):
    layout.write(layout.etc / "landing.html", landing_page(layout, parts))
    for slug in FOUND_BY_HAPROXY:
        layout.write(layout.etc / f"{slug}.http", error_file(slug))
    path = layout.write(layout.etc / "haproxy.cfg", config(layout, options, parts))
    run_quietly(layout, [find_program("haproxy", "/usr/sbin/haproxy"), "-c", "-f", str(path)])
