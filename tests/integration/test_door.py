"""The public door: who is let in, what is refused, and in which words."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec

OURS = {"iss": "tradewind", "aud": "tradewind"}


@pytest.fixture(scope="module")
def signing(running_stack):
    """The stack's own private key, and its kid."""
    with open(running_stack.settings["TRADEWIND_SIGNING_KEY"]) as file:
        text = file.read()
    return jwt.algorithms.ECAlgorithm.from_jwk(text), json.loads(text)["kid"]


def sign(key, kid, algorithm="ES256", **claims):
    whole = {"sub": "somebody", "role": "service", "exp": int(time.time()) + 600, **OURS, **claims}
    whole = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(whole, key, algorithm=algorithm, headers={"kid": kid})


def is_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status and problem["type"].startswith("urn:tradewind:problem:")
    assert problem["title"] and problem["detail"]
    return True


def ask(stack, token, path="/stock/PROBE"):
    return stack.http("GET", path, token=token)


def is_let_in(answer):
    """Whatever the part says then; the door says 401 and 403."""
    return answer.status_code not in (401, 403)


def test_a_good_token_is_let_in_again_and_again(stack, signing):
    token = sign(*signing)

    assert all(is_let_in(ask(stack, token)) for _ in range(3))


def test_bad_tokens_are_refused(stack, signing):
    key, kid = signing
    now = int(time.time())
    other = ec.generate_private_key(ec.SECP256R1())
    good = sign(key, kid)
    head, claims, signature = good.split(".")
    operator = jwt.encode({"role": "operator", "sub": "x", "exp": now + 600, **OURS}, "k" * 32, headers={"kid": kid})
    cases = {
        "no JWT": "abc",
        "signed by somebody else": sign(other, kid),
        "a kid nobody has": sign(key, "nobody"),
        "expired": sign(key, kid, exp=now - 5),
        "without end": sign(key, kid, exp=None),
        "of tomorrow": sign(key, kid, nbf=now + 86400),
        "from another issuer": sign(key, kid, iss="elsewhere"),
        "for somebody else": sign(key, kid, aud="elsewhere"),
        "alg none": jwt.encode({"role": "operator", "exp": now + 600, **OURS}, None, "none", headers={"kid": kid}),
        "alg HS256": operator,
        "changed claims": f"{head}.{operator.split('.')[1]}.{signature}",
        "no signature": f"{head}.{claims}.",
    }

    for name, token in cases.items():
        assert is_problem(ask(stack, token), 401), name


def test_a_remembered_token_ends_when_it_says(stack, signing):
    token = sign(*signing, exp=int(time.time()) + 2)

    assert is_let_in(ask(stack, token))
    time.sleep(2.1)
    assert is_problem(ask(stack, token), 401)


def test_without_a_token_only_shelves_keys_and_probes_are_open(stack):
    assert is_problem(stack.http("GET", "/stock/PROBE"), 401)
    assert is_problem(stack.http("GET", "/orders"), 401)
    assert is_problem(stack.http("POST", "/products", json=[]), 401)
    assert is_problem(stack.http("GET", "/parts/catalog/health"), 401)
    assert is_problem(stack.http("GET", "/stock", headers={"Authorization": "Basic YTpi"}), 401)
    assert stack.http("GET", "/products").status_code == 200
    assert stack.http("GET", "/parts/catalog/livez").status_code == 200
    assert stack.http("GET", "/.well-known/jwks.json").json()["keys"][0]["crv"] == "P-256"
    assert "Tradewind" in stack.http("GET", "/").text


def test_only_operators_look_into_parts(stack):
    assert is_problem(stack.http("GET", "/parts/catalog/health", role="service"), 403)
    assert stack.http("GET", "/parts/catalog/health", role="operator").status_code == 200
    assert is_problem(stack.http("GET", "/parts/nobody/health", role="operator"), 404)


def test_a_path_of_no_part_is_404(stack):
    for path in ("/nothing", "/ordersome", "/products.html", "/parts/catalog"):
        assert is_problem(stack.http("GET", path, role="operator"), 404), path


def test_bodies_are_bounded(stack):
    def post(path, size):
        return stack.http("POST", path, role="service", data=b" " * size, headers={"Content-Type": "application/json"})

    assert post("/orders", 1 << 20).status_code != 413
    assert is_problem(post("/orders", (1 << 20) + 1), 413)
    assert is_problem(post("/orders", 10_000_000), 413)
    assert is_problem(post("/products", (8 << 20) + 1), 413)


def raw(stack, text, wait=20):
    """The status line that the door answers to bytes that no client library would send."""
    host, _, port = stack.settings["TRADEWIND_DOOR"].removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=wait) as connection:
        connection.sendall(text.encode())
        return connection.recv(4000).decode().split("\r\n")[0]


def test_requests_that_two_readers_read_differently_are_refused(stack):
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.token('service')}\r\n"

    assert " 400 " in raw(stack, head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")
    assert " 400 " in raw(stack, head + "Content-Length : 3\r\n\r\nabc")
    assert " 400 " in raw(stack, head + "Content-Length: +3\r\n\r\nabc")
    assert " 411 " in raw(stack, head + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert " 411 " in raw(stack, head + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc")


def test_slow_requests_are_given_up(stack):
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.token('service')}\r\n"

    with ThreadPoolExecutor() as at_once:
        slow_headers = at_once.submit(raw, stack, head)
        slow_body = at_once.submit(raw, stack, head + "Content-Length: 3000\r\n\r\nabc")

        assert " 408 " in slow_headers.result()
        assert " 408 " in slow_body.result()


def fall_silent(address, head):
    """Send a part of a body and nothing more; gives what comes back."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(f"{head}Content-Length: 100\r\n\r\nabc".encode())
        return connection.recv(4000).decode()


def drip(address, head, first, whole=100_000):
    """Send the beginning of a body, and then a byte every half second; gives what comes back, once something does."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=0.5) as connection:
        connection.sendall(f"{head}Content-Length: {whole}\r\n\r\n".encode() + b" " * first)
        for _ in range(120):
            try:
                return connection.recv(4000).decode()
            except TimeoutError:
                connection.sendall(b" ")
    return "a minute went by"


def test_a_body_that_does_not_come_to_its_end_is_given_up(stack):
    """The door times the headers and what of a body fits its buffer; the rest is timed by the part, from the first byte on.
    A client that falls silent is told, as one that drips is."""
    door, part = stack.settings["TRADEWIND_DOOR"].removeprefix("http://"), stack.settings["TRADEWIND_ORDERS_HTTP"]
    head = (
        "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {stack.token('service')}\r\n"
    )

    with ThreadPoolExecutor() as at_once:
        answers = [at_once.submit(drip, door, head, 40_000), at_once.submit(drip, part, head, 1)]
        answers.append(at_once.submit(fall_silent, part, head))

        for answer in answers:
            assert answer.result().startswith("HTTP/1.1 408 ")
            assert "application/problem+json" in answer.result() and '"status":408' in answer.result().replace(" ", "")
    assert stack.http("GET", "/orders", role="service").status_code == 200


def test_a_client_that_asks_too_often_is_told_to_wait_and_services_are_not(stack):
    stack.up(settings={"TRADEWIND_DOOR_RATE": "20"})
    try:
        answers = [stack.http("GET", "/products", role="customer", subject="greedy") for _ in range(30)]
        others = stack.http("GET", "/products", role="customer", subject="modest")
        services = [stack.http("GET", "/products", role="service") for _ in range(30)]
    finally:
        stack.up(settings={"TRADEWIND_DOOR_RATE": None})

    assert [answer.status_code for answer in answers] == [200] * 20 + [429] * 10
    assert is_problem(answers[-1], 429) and int(answers[-1].headers["retry-after"]) > 0
    assert "ratelimit" in answers[-1].headers
    assert others.status_code == 200
    assert {answer.status_code for answer in services} == {200}


def test_a_part_that_is_down_is_503_with_a_time_to_come_back(stack):
    stack.stop("catalog")
    try:
        stack.wait_until(lambda: stack.http("GET", "/products").status_code == 503, 10, "the door knowing")
        answer = stack.http("GET", "/products")
    finally:
        stack.start("catalog")

    assert is_problem(answer, 503) and answer.headers["retry-after"]
    stack.wait_until(lambda: stack.http("GET", "/products").status_code == 200, 20, "the catalog being back")


def test_the_door_speaks_tls(stack):
    port = int(stack.environment["TRADEWIND_PORT_BASE"]) + 1
    certificate = stack.state / "keys" / "certificate.pem"

    assert requests.get(f"https://127.0.0.1:{port}/livez", verify=certificate, timeout=10).text == "ok"
