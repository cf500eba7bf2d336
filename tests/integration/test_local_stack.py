"""The ground the other tests stand on: servers that start, stay and come back."""

import json
import os
from pathlib import Path

import pytest
import requests


def test_postgres_gives_each_part_a_database_of_its_own(stack):
    assert stack.sql("orders", "SELECT current_user, current_database()") == [("orders", "orders")]
    assert stack.sql("payment", "SHOW fsync") == [("on",)]
    nosy = stack.database_uri("orders").rpartition("/")[0] + "/payment"
    with pytest.raises(AssertionError, match="permission denied"):
        stack.sql("payment", "SELECT 1", uri=nosy)


def test_a_killed_server_comes_back_with_its_data(stack):
    stack.sql("orders", "CREATE TABLE kept AS SELECT 1 AS number")
    for server in ("postgres", "mongodb", "mails"):
        before = stack.pid(server)
        stack.kill(server)
        stack.wait_until(lambda: server_is_back(stack, server, before), what=f"{server} running again")
    stack.wait_until(lambda: rows(stack, "SELECT number FROM kept") == [("1",)], what="the row being there")
    stack.sql("orders", "DROP TABLE kept")


def server_is_back(stack, server, before):
    try:
        return stack.pid(server) != before
    except AssertionError:
        return False


def rows(stack, text):
    try:
        return stack.sql("orders", text)
    except AssertionError:
        return None


def test_the_document_store_refuses_a_second_document_of_the_same_id(stack):
    from pymongo.errors import DuplicateKeyError

    documents = stack.mongodb()["probe"]
    documents.insert_one({"_id": "1"})
    with pytest.raises(DuplicateKeyError):
        documents.insert_one({"_id": "1"})
    documents.drop()


def test_nothing_listens_beyond_this_machine(stack):
    base = int(stack.environment["TRADEWIND_PORT_BASE"])
    ports = range(base, base + 100)
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in list(table)[1:]]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    ours = {(address, int(port, 16)) for address, port in listening if int(port, 16) in ports}

    assert ours and {address for address, _ in ours} == {"0100007F"}


def test_the_mail_sink_keeps_mails_and_misbehaves_when_told(stack):
    import smtplib

    host, _, port = stack.settings["TRADEWIND_SMTP"].removeprefix("smtp://").rpartition(":")
    subject = "=?utf-8?B?4oKsIDU=?=\r\n for Zoe"  # encoded and folded
    text = f"Message-ID: <probe@shop>\r\nX-Order-Id: probe\r\nSubject: {subject}\r\n\r\nhello\r\n"
    with smtplib.SMTP(host, int(port)) as client:
        client.sendmail("shop@example.test", ["a@example.test"], text)
        stack.mail_behaviour("refuse")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("shop@example.test", ["a@example.test"], text)

    assert stack.mails(order="probe")["count"] == 1
    mail = stack.mails(order="probe")["mails"][0]
    assert (mail["message_id"], mail["subject"]) == ("<probe@shop>", "\u20ac 5 for Zoe")


def test_a_second_stack_on_the_same_ports_is_refused_and_changes_nothing(stack, tmp_path):
    import subprocess

    from local_stack import COMMAND

    os.chmod(tmp_path, 0o755)
    state = tmp_path / "other"
    environment = {**stack.environment, "TRADEWIND_STATE": str(state)}
    done = subprocess.run([COMMAND, "up"], env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert "is taken by the stack in" in done.stderr
    assert not state.exists()


def test_the_page_of_mails_is_for_people(stack):
    page = requests.get(stack.settings["TRADEWIND_MAILS"] + "/", timeout=10)

    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "taken, none delivered" in page.text


def test_a_stack_that_is_ended_by_several_at_once_ends_without_a_complaint(stack):
    import subprocess

    from local_stack import COMMAND

    stack.is_whole = False
    ending = [subprocess.Popen([COMMAND, "down"], env=stack.environment, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    complaints = [process.communicate()[1] for process in ending]

    assert ([process.returncode for process in ending], complaints) == ([0] * 4, [""] * 4)
    stack.whole()


def test_the_door_takes_a_key_whose_name_begins_like_an_option(stack):
    """The name is a hash: one in 64 begins with a minus."""
    jwks = Path(stack.settings["TRADEWIND_JWKS"])
    kept = jwks.read_text()
    try:
        jwks.write_text(json.dumps({"keys": [{**json.loads(kept)["keys"][0], "kid": "-f"}]}))
        stack.up(servers_only=True)
        assert "-m str -- -f }" in (stack.state / "etc" / "haproxy.cfg").read_text()
    finally:
        jwks.write_text(kept)
        stack.up()
