"""The command line: what it answers to the shell, and what it says when something is wrong."""

import json
import uuid

import pytest

from local_stack import CHECKOUT

SALES = CHECKOUT / "tests" / "data" / "online-retail-10k.csv"
NOBODY = {"TRADEWIND_KAFKA": "127.0.0.1:1", "TRADEWIND_DOOR": "http://127.0.0.1:1"}


def refused(stack, *arguments, settings=None):
    """The one sentence with which a call was refused, before anything was done."""
    done = stack.run_tradewind(*arguments, settings=settings)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"\x89PNG\r\n\x1a\n\0\0", "it is not UTF-8 text"),
        (b"", "it is empty"),
        (b"<html><body>no</body></html>\n", "there is no column InvoiceNo in the first line"),
        (b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,Country\n", "there is no column CustomerID"),
        (
            b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,A,a,six,,1,,x\n",
            "line 2: Quantity 'six', want a whole number",
        ),
        (
            b'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,"A,a\n',
            "line 2: a quote is opened and never closed",
        ),
    ],
)
def test_a_file_that_is_no_sales_file_is_refused_in_one_sentence(stack, tmp_path, content, sentence):
    path = tmp_path / "sales.csv"
    path.write_bytes(content)

    said = refused(stack, "import", "online-retail", path)

    assert said.startswith(f"tradewind import: {path}: {sentence}")
    assert said.count("\n") == 1


def test_a_file_that_is_not_there_is_refused_in_one_sentence(stack, tmp_path):
    said = refused(stack, "import", "online-retail", tmp_path / "none.csv")

    assert said == f"tradewind import: {tmp_path}/none.csv: it cannot be read: No such file or directory\n"


def test_a_dry_run_accounts_for_every_line_without_any_server(stack):
    report = stack.run_tradewind("import", "online-retail", SALES, "--dry-run", "--json", settings=NOBODY)

    assert report.returncode == 0
    report = json.loads(report.stdout)
    assert sum(bucket["lines"] for bucket in report["buckets"]) == report["lines"] == 10000
    assert report["plan"]["orders"] == 424
    assert report["plan"]["order_lines"] == 9855
    assert "sent" not in report


def test_every_command_explains_itself(stack):
    usage = stack.tradewind("--help")
    commands = [line.split()[0] for line in usage.split("Commands:\n")[1].split("\n\n")[0].splitlines()]

    assert {"import", "topics", "tail", "order", "audit", "saga", "status", "token"} <= set(commands)
    for command in commands:
        assert stack.tradewind(command, "--help").startswith(f"tradewind {command} ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("brew",),
        ("topics", "drop"),
        ("order",),
        ("order", "../etc/passwd"),
        ("tail", "--type", "order.eaten"),
        ("tail", "--topic", "shop.nothing.v1"),
        ("token",),
        ("token", "--role", "king"),
        ("token", "--role", "operator", "--ttl", "-1"),
        ("import", "online-retail", SALES, "--rate", "0"),
        ("import", "online-retail", SALES, "--decline-share", "3 %"),
        ("dlq", "ls", "nobody"),
        ("dlq", "redrive", "orders"),
        ("dlq", "redrive", "orders", "1", "--all"),
        ("dlq", "ls", "orders", "--dry-run"),
        ("dlq", "ls", "orders", "--since", "yesterday"),
        ("dlq", "show", "orders", "first"),
        ("saga", "brew"),
        ("saga", "explain", "warehouse"),
        ("saga", "cancel"),
        ("saga", "cancel", "../etc/passwd"),
        ("saga", "stuck", "--longer-than", "soon"),
        ("ops",),
        ("ops", "log", "--part", "nobody"),
        ("ops", "log", "--since", "once"),
        ("status", "--until-idle"),
    ],
)
def test_a_bad_call_is_refused_and_says_where_help_is(stack, arguments):
    assert "tradewind" in refused(stack, *arguments)


@pytest.mark.parametrize("arguments", [("topics", "verify"), ("tail", "--to-end"), ("audit",), ("summary",), ("status",)])
def test_without_a_broker_the_exit_code_is_3(stack, arguments):
    done = stack.run_tradewind(*arguments, settings=NOBODY)

    assert done.returncode == 3, done.stdout + done.stderr


def test_topics_are_compared_with_the_declared_list(stack):
    assert "are as declared" in stack.tradewind("topics", "verify")

    done = stack.run_tradewind("topics", "verify", "--json", settings={"TRADEWIND_PARTITIONS": "7"})

    assert done.returncode == 1
    differences = [(step["topic"], step["what"], step["is"], step["want"]) for step in json.loads(done.stdout)]
    assert ("shop.orders.v1", "partitions", "12", "7") in differences


def test_an_order_nobody_knows_is_exit_1(stack):
    assert stack.run_tradewind("order", "01ARZ3NDEKTSV4RRFFQ69G5FAV").returncode == 1


def test_tail_filters_by_order_and_type_and_ends_at_the_end(shop):
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")

    lines = shop.stack.tradewind("tail", "--from", "beginning", "--to-end", "--order", order, "--json", as_json=False)
    events = [json.loads(line) for line in lines.splitlines()]
    captured = shop.stack.tradewind("tail", "--from", "beginning", "--to-end", "--order", order, "--type", "payment.captured")

    assert {event["subject"] for event in events} == {order}
    assert {"order.created", "inventory.committed", "payment.captured", "order.closed"} <= {event["type"] for event in events}
    assert len(captured.splitlines()) == 1 and "5.00 GBP" in captured


def test_a_record_that_is_no_event_is_shown_as_it_is(stack):
    stack.produce("shop.fraud.v1", b"not an event", partition=3)

    lines = stack.tradewind("tail", "--topic", "fraud", "--from", "beginning", "--to-end", "--json", as_json=False)
    errors = [json.loads(line) for line in lines.splitlines() if '"error"' in line]

    assert errors and errors[-1]["value_base64"] == "bm90IGFuIGV2ZW50"


def test_what_was_set_aside_is_listed_shown_and_dropped(stack):
    stack.produce("shop.fraud.v1", b"nor this", partition=4)
    stack.wait_until(lambda: stack.tradewind("dlq", "ls", "orders", "--json"), what="a dead letter in orders")

    dead = stack.tradewind("dlq", "ls", "orders", "--json")[-1]
    table = stack.tradewind("dlq", "ls")
    shown = stack.tradewind("dlq", "show", "orders", dead["id"])
    stack.tradewind("dlq", "drop", "orders", dead["id"])

    assert "shop.fraud.v1" in table and "shop.fraud.v1" in shown
    assert "nor this" in shown and "no event: " in shown
    assert dead["id"] not in [left["id"] for left in stack.tradewind("dlq", "ls", "orders", "--json")]
    assert stack.run_tradewind("dlq", "show", "orders", dead["id"]).returncode == 1


def test_status_names_each_part_and_what_is_down(stack):
    everything = stack.tradewind("status", "--json")
    assert {part["part"] for part in everything["parts"] if part["ready"]} >= {"orders", "inventory", "payment", "fraud"}

    stack.stop("fraud")
    done = stack.run_tradewind("status", "--json")

    assert done.returncode == 3
    assert [part["part"] for part in json.loads(done.stdout)["parts"] if not part["reachable"]] == ["fraud"]


def test_a_second_import_under_the_same_run_changes_nothing(shop, tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "900001,t900a,MUG,10,2010-12-01 08:26:00,2.55,17850.0,France\n"
        "900001,POST,POSTAGE,1,2010-12-01 08:26:00,18.00,17850.0,France\n"
        "900002,T900A,MUG,1,2010-12-01 08:30:00,2.95,,France\n"
    )
    call = ("import", "online-retail", path, "--run", uuid.uuid4().hex, "--stock-cover", "1", "--json")

    first, second = shop.stack.tradewind(*call), shop.stack.tradewind(*call)

    assert first["sent"]["orders_accepted"] == second["sent"]["orders_accepted"] == 2
    assert shop.stock("T900A")["received"] == 11
    guests = shop.ask("GET", "/orders?customer=guest:900002").json()["orders"]
    assert len(guests) == 1
