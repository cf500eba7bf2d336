"""What the documents say is tried: their commands are run, their code is compiled."""

import os
import re
import subprocess

import pytest
from local_stack import CHECKOUT


def code_blocks(path, language=""):
    """Fenced blocks of a language, or with none the indented ones."""
    text = (CHECKOUT / path).read_text()
    if language:
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n(?:^\n(?=    ))?)+", text, re.M)]


def build_folder():
    return os.environ.get("TRADEWIND_BUILD", str(CHECKOUT / "build"))


def test_the_consumer_of_the_how_to_compiles_and_links(tmp_path):
    """The example against the libraries that were built, with warnings as errors."""
    build = build_folder()
    source, migrations, program = tmp_path / "loyalty.c", tmp_path / "migrations.c", tmp_path / "tradewind-loyalty"
    folder = tmp_path / "loyalty"
    folder.mkdir()
    source.write_text(code_blocks("docs/how-to/add-a-consumer.md", "c")[0])
    (folder / "001_customers.sql").write_text(code_blocks("docs/how-to/add-a-consumer.md", "sql")[0])
    subprocess.run([CHECKOUT / "runtime/embed_sql.py", migrations, "part_migration", folder], check=True)
    libraries = [f"{build}/{name}" for name in ("events/libpart.a", "events/libevents.a", "events/libschema.a", "runtime/libruntime.a")]
    packages = "libpq rdkafka libevent yajl cjose libcrypto libsodium libcurl libmongoc-1.0 libzstd".split()
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], capture_output=True, text=True, check=True)
    sanitizers = ["-fsanitize=address,undefined"] if "sanitizers" in build else []
    done = subprocess.run(
        ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
        + [f"-I{CHECKOUT}", f"-I{build}", "-o", program, source, migrations, CHECKOUT / "events/part_main.c", *sanitizers]
        + ["-Wl,--start-group", *libraries, "-Wl,--end-group", *flags.stdout.split(), "-lpthread", "-lm"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

    help_text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout

    assert "TRADEWIND_LOYALTY_DATABASE" in help_text


@pytest.fixture
def shop(stack):
    """A shop that sells the product which the README orders."""
    product = {"sku": "85123A", "name": "A holder", "kind": "goods", "unit_price_minor": 255, "currency": "GBP"}
    assert stack.http("POST", "/products", role="service", json=[product]).ok
    receipt = {"receipt_id": "readme", "sku": "85123A", "quantity": 100}
    assert stack.http("POST", "/stock/receipts", role="service", json=[receipt]).ok
    stack.wait_until(lambda: stack.http("GET", "/orders/prices/85123A", role="service").ok, 30, "the price")
    return stack


def test_the_first_five_minutes_of_the_readme_work_word_for_word(shop):
    blocks = [block for block in code_blocks("README.md") if "./tradewind" in block or "curl" in block]
    environment = {**os.environ, **shop.environment}
    base = int(shop.environment["TRADEWIND_PORT_BASE"])
    answers = []

    for block in blocks:
        order = answers and re.search(r'"order_id":\s*"(\w+)"', "".join(answers))
        text = block.replace("127.0.0.1:17000", f"127.0.0.1:{base}").replace("ORDER_ID", order[1] if order else "")
        done = subprocess.run(["bash", "-euc", text], cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        answers.append(done.stdout)

    assert "order.created" in answers[-2]


def test_the_runbook_lists_what_the_code_logs():
    logged = set()
    for folder in ("runtime", "events", "producers", "consumers", "ops"):
        for path in (CHECKOUT / folder).rglob("*.c"):
            text = path.read_text()
            logged |= set(re.findall(r'LOG_(?:WARN|ERROR)\(\s*"(\w+)"', text))
            logged |= set(re.findall(r'LOG_AT\([^"]*LOG_LEVEL_(?:WARN|ERROR)[^"]*"(\w+)"', text))
    listed = set(re.findall(r"^\| `(\w+)` \|", (CHECKOUT / "docs/runbook.md").read_text(), re.M))

    assert logged == listed
