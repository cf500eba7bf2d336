"""What the documents say is tried: their commands are run, their code is compiled."""

import json
import os
import re
import subprocess

import pytest
from local_stack import BUILD, CHECKOUT
from shop import Shop


def code_blocks(path, language=""):
    """Fenced blocks of a language, or with none the indented ones."""
    text = (CHECKOUT / path).read_text()
    if language:
        return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return [re.sub(r"^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .*\n(?:^\n(?=    ))?)+", text, re.M)]


def test_the_consumer_of_the_how_to_compiles_and_links(tmp_path):
    """The example against the libraries that were built, with warnings as errors."""
    source, migrations, program = tmp_path / "loyalty.c", tmp_path / "migrations.c", tmp_path / "tradewind-loyalty"
    folder = tmp_path / "loyalty"
    folder.mkdir()
    source.write_text(code_blocks("docs/how-to/add-a-consumer.md", "c")[0])
    (folder / "001_customers.sql").write_text(code_blocks("docs/how-to/add-a-consumer.md", "sql")[0])
    subprocess.run([CHECKOUT / "runtime/embed_sql.py", migrations, "part_migration", folder], check=True)
    libraries = [f"{BUILD}/{name}" for name in ("events/libpart.a", "events/libevents.a", "events/libschema.a", "runtime/libruntime.a")]
    packages = "libpq rdkafka libevent yajl cjose libcrypto libsodium libcurl libmongoc-1.0 libzstd".split()
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", *packages], capture_output=True, text=True, check=True)
    sanitizers = ["-fsanitize=address,undefined"] if "sanitizers" in str(BUILD) else []
    done = subprocess.run(
        ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
        + [f"-I{CHECKOUT}", f"-I{BUILD}", "-o", program, source, migrations, CHECKOUT / "events/part_main.c", *sanitizers]
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
    stack.wait_until(lambda: stack.http("GET", "/orders/prices/85123A", role="service").ok, what="the price")
    return stack


def test_the_first_five_minutes_of_the_readme_work_word_for_word(shop):
    blocks = [block for block in code_blocks("README.md") if "./tradewind" in block or "curl" in block]
    environment = {**os.environ, **shop.environment}
    base = int(shop.environment["TRADEWIND_PORT_BASE"])
    answers = []
    seller = Shop(shop)
    seller.wait_for(seller.order((seller.product(), 1)), "fulfilled")  # there is something to look at

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
    lines = (CHECKOUT / "docs/runbook.md").read_text().split("\n## Log lines\n")[1]
    listed = set(re.findall(r"^\| `(\w+)` \|", lines, re.M))

    assert logged == listed


def read_yaml(path):
    """By Debian's python3-yaml, which the build needs too."""
    program = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"
    command = ["/usr/bin/python3", "-c", program, CHECKOUT / path]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def served_routes():
    """{"GET /orders/{id}", ...}: what the parts serve, by the tables in their code, as it is reached through the door."""
    parts = read_yaml("docker/compose.yaml")["services"]
    everybody = routes_in(CHECKOUT / "events/part.c")
    served = {f"{method} /parts/{{part}}{path}" for method, path in everybody}
    for folder in [*(CHECKOUT / "producers").iterdir(), *(CHECKOUT / "consumers").iterdir()]:
        prefixes = parts.get(folder.name, {}).get("x-tradewind", {}).get("routes", [])
        for source in folder.glob("*.c"):
            for method, path in routes_in(source):
                is_public = any(path == prefix or path.startswith(prefix + "/") for prefix in prefixes)
                served.add(f"{method} {path}" if is_public else f"{method} /parts/{folder.name}{path}")
    return served


def routes_in(source):
    return re.findall(r'\{HTTP_(\w+), "(/[^"]*)"', source.read_text())


def test_the_contract_and_the_examples_have_every_route_that_is_served():
    served = served_routes()
    assert {"POST /orders", "GET /parts/email/emails/{order_id}", "GET /parts/{part}/livez"} <= served
    paths = read_yaml("schemas/openapi.yaml")["paths"]
    headings = re.findall(r"^### (.*)$", (CHECKOUT / "docs/http.md").read_text(), re.M)

    contract = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    examples = {route for heading in headings for route in re.findall(r"`([A-Z]+ /[^`?]*)", heading)}

    assert contract == served
    assert examples == served


def test_every_test_that_a_document_names_is_there():
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (CHECKOUT / "docs/guarantees.md").read_text())

    assert len(named) > 10
    missing = [f"{path}::{name}" for path, name in named if f"def {name}(" not in (CHECKOUT / path).read_text()]
    assert missing == []
