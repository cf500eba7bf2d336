#!/usr/bin/env python3
"""Takes every mail and delivers none: the local stack's mail server.

Each mail is a file, N.eml, in the folder it is given; the list is kept in memory and read from the files at start.

    GET  /                  a page to look at
    GET  /mails             JSON: {count, message_ids, next, mails: [...], begun}, oldest first. Filters: ?order= ?to= ?message_id=
                            begun: how many it has begun to take since it started
                            Pages: ?limit= (100, at most 10000) ?after= (a mail's number; `next` of the page before)
    GET  /mails/N           the mail as it came; /mails/N.html: its HTML part
    GET  /behaviour         what it does with mails now
    PUT  /behaviour         from now on: accept | refuse | stall SECONDS | hang-up-before-250 | hang-up-after-250
    GET  /livez, /readyz    200
"""

import argparse
import asyncio
import email.policy
import html
import json
import ssl
import threading
import time
from dataclasses import asdict, dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser, BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP

MAIL_BYTES = 1 << 20
BEHAVIOURS = ("accept", "refuse", "stall", "hang-up-before-250", "hang-up-after-250")


@dataclass(frozen=True)
class Mail:
    number: int
    received_at: str
    sender: str
    to: tuple
    subject: str
    message_id: str
    order: str


def summary(number, received_at, content, sender=None, recipients=None):
    headers = BytesHeaderParser().parsebytes(content)  # the policy that takes headers apart costs seven times as much
    return Mail(
        number=number,
        received_at=received_at,
        sender=sender or text(headers["From"]),
        to=tuple(recipients or [text(headers["To"])]),
        subject=text(headers["Subject"]),
        message_id=text(headers["Message-ID"]),
        order=text(headers["X-Order-Id"]),
    )


def text(header):
    """What a header says, unfolded and decoded (RFC 5322, 2.2.3; RFC 2047). As it stands if it says it wrongly."""
    unfolded = "".join(str(header or "").splitlines()).strip()
    try:
        return str(make_header(decode_header(unfolded)))
    except (HeaderParseError, LookupError, UnicodeError):
        return unfolded


def utc(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


class Box:
    """All mails. SMTP's thread adds, HTTP's threads read."""

    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()
        self.mails = [self._read(path) for path in sorted(folder.glob("*.eml"), key=lambda path: int(path.stem))]
        self.behaviour = ("accept", 0.0)
        self.begun = 0

    def _read(self, path):
        return summary(int(path.stem), utc(path.stat().st_mtime), path.read_bytes())

    def path(self, number):
        return self.folder / f"{number}.eml"

    def add(self, content, sender, recipients):
        number = self.mails[-1].number + 1 if self.mails else 1
        new = self.folder / "new"
        new.write_bytes(content)
        new.rename(self.path(number))
        mail = summary(number, utc(time.time()), content, sender, recipients)
        with self.lock:
            self.mails.append(mail)

    def all(self):
        with self.lock:
            return list(self.mails)

    def matching(self, query):
        wanted = {name: query[name] for name in ("order", "to", "message_id") if name in query}
        return [mail for mail in self.all() if all(_matches(mail, name, value) for name, value in wanted.items())]


def _matches(mail, name, value):
    return value in mail.to if name == "to" else getattr(mail, name) == value


class Receiver:
    """What aiosmtpd calls while a mail comes in."""

    def __init__(self, box):
        self.box = box

    async def handle_MAIL(self, server, session, envelope, address, options):
        kind, seconds = self.box.behaviour
        self.box.begun += 1
        if kind == "stall":
            await asyncio.sleep(seconds)
        if kind == "refuse":
            return "451 4.3.0 refused, as this mail sink was told; try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.box.add(envelope.original_content, envelope.mail_from, envelope.rcpt_tos)
        kind, _ = self.box.behaviour
        if kind == "hang-up-before-250":
            server.transport.abort()
        elif kind == "hang-up-after-250":
            asyncio.get_running_loop().call_later(0.01, server.transport.abort)
        return "250 OK"


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    box = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path == "/":
            self.answer(200, "text/html; charset=utf-8", page(self.box.matching(query), query))
        elif url.path == "/mails":
            self.mails(query)
        elif url.path.startswith("/mails/"):
            self.mail(url.path.removeprefix("/mails/"))
        elif url.path == "/behaviour":
            self.answer(200, "text/plain", "{} {}\n".format(*self.box.behaviour))
        elif url.path in ("/livez", "/readyz"):
            self.answer(200, "text/plain", "ok\n")
        else:
            self.answer(404, "text/plain", "no such page\n")

    def do_PUT(self):
        length = int(self.headers.get("Content-Length") or 0)
        kind, _, seconds = self.rfile.read(min(length, 1000)).decode().strip().partition(" ")
        if self.path != "/behaviour" or kind not in BEHAVIOURS:
            self.answer(400, "text/plain", f"PUT /behaviour wants one of: {', '.join(BEHAVIOURS)}\n")
            return
        self.box.behaviour = (kind, float(seconds or 0))
        self.answer(200, "text/plain", f"{kind}\n")

    def mails(self, query):
        matching = self.box.matching(query)
        after, limit = int(query.get("after", 0)), min(int(query.get("limit", 100)), 10000)
        shown = [mail for mail in matching if mail.number > after]
        more = len(shown) > limit
        shown = shown[:limit]
        body = {
            "count": len(matching),
            "begun": self.box.begun,
            "message_ids": len({mail.message_id for mail in matching}),
            "next": shown[-1].number if more else None,
            "mails": [asdict(mail) for mail in shown],
        }
        self.answer(200, "application/json", json.dumps(body))

    def mail(self, name):
        number, dot, kind = name.partition(".")
        path = self.box.path(int(number)) if number.isdigit() else None
        if path is None or not path.exists() or kind not in ("", "html"):
            self.answer(404, "text/plain", "no such mail\n")
        elif kind == "html":
            part = BytesParser(policy=email.policy.default).parsebytes(path.read_bytes()).get_body(("html", "plain"))
            # The page is the mail's own: no scripts, nothing from outside.
            self.answer(
                200,
                f"{part.get_content_type()}; charset=utf-8",
                part.get_content(),
                "default-src 'none'; style-src 'unsafe-inline'",
            )
        else:
            self.answer(200, "text/plain; charset=utf-8", path.read_bytes())

    def answer(self, status, content_type, body, policy="default-src 'none'; style-src 'unsafe-inline'"):
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(data)


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">
<title>Mails</title>
<style>
  body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c2733 }}
  h1 {{ font-size: 1.4rem; margin: 0 }} p {{ color: #5b6875; margin: .2rem 0 1.2rem }}
  table {{ border-collapse: collapse; width: 100% }} td, th {{ text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid #e3e8ee }}
  td.t {{ white-space: nowrap; color: #5b6875; font-variant-numeric: tabular-nums }} a {{ color: #0b62a8; text-decoration: none }}
</style>
<h1>Mails</h1>
<p>{count} taken, none delivered: this is the local stack's mail sink. The newest 200{what}. As JSON: <a href="/mails">/mails</a></p>
<table><tr><th>Time (UTC)</th><th>To</th><th>Subject</th><th>Order</th><th></th></tr>
{rows}</table></html>
"""


def page(mails, query):
    rows = "".join(map(row, reversed(mails[-200:])))
    what = html.escape("".join(f", {name} {value}" for name, value in query.items()))
    return PAGE.format(count=f"{len(mails):,}", what=what, rows=rows)


def row(mail):
    order = html.escape(mail.order)
    return (
        f"<tr><td class=t>{mail.received_at[:19].replace('T', ' ')}</td><td>{html.escape(', '.join(mail.to))}</td>"
        f'<td><a href="/mails/{mail.number}.html">{html.escape(mail.subject) or "(no subject)"}</a></td>'
        f'<td><a href="/?order={order}">{order}</a></td><td><a href="/mails/{mail.number}">source</a></td></tr>\n'
    )


def address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smtp", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--http", type=address, required=True, metavar="HOST:PORT")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, help="PEM with certificate and key: offers STARTTLS")
    return parser.parse_args()


def tls_context(certificate):
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def serve(arguments):
    arguments.folder.mkdir(parents=True, exist_ok=True)
    box = Box(arguments.folder)
    context = tls_context(arguments.certificate)
    Pages.box = box
    http = ThreadingHTTPServer(arguments.http, Pages)
    http.daemon_threads = True
    threading.Thread(target=http.serve_forever, daemon=True).start()
    receiver = Receiver(box)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(
        lambda: SMTP(
            receiver, data_size_limit=MAIL_BYTES, enable_SMTPUTF8=True, tls_context=context, hostname="localhost"
        ),
        *arguments.smtp,
    )
    print(
        f"mail sink: smtp on port {arguments.smtp[1]}, pages on port {arguments.http[1]}, {len(box.mails)} mails",
        flush=True,
    )
    await smtp.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(parse_arguments()))
