"""tradewind replay --save and --from: a state that was built once is kept in a file, and the next replay begins there
instead of at the beginning of the topics. A file that was changed, or does not fit, is refused."""

import pytest
from limits import limited
from parts import PARTS
from replays import equal, lose_database, program, refused, replay
from snapshots import forged, place_changed, saved


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("snapshots")


def sums(answer):
    return {table["table"]: (table["rows"], table["checksum"]) for table in answer["tables"]}


def test_a_replay_from_a_snapshot_is_one_from_the_beginning_and_what_is_live(clean, shop, ends, folder):
    before = {part: saved(clean, part, folder / part) for part in PARTS}
    shop.cancel(ends["fulfilled"][0])  # what comes later changes rows that are in the snapshot
    mug = shop.product(stock=1000)
    later = [shop.order((mug, 1), token=token) for token in ("tok_approve", "tok_decline")]
    shop.wait_for_all([ends["fulfilled"][0], later[1]], "closed")
    shop.wait_for(later[0], "fulfilled")
    clean.tradewind("audit", "--wait", "30")  # the mails are out

    for part in PARTS:
        from_it = replay(clean, part, "--from", folder / part, "--compare")
        beginning = equal(clean, part)

        assert from_it["equal"] and sums(from_it) == sums(beginning)
        assert 0 < from_it["folded"] < beginning["folded"] == before[part]["folded"] + from_it["folded"]


def test_a_database_that_was_lost_comes_back_from_a_snapshot(clean, shop, ends, folder):
    saved(clean, "payment", folder / "before the loss")
    mug = shop.product(stock=100)
    orders = [shop.order((mug, 1)) for _ in range(5)]
    shop.wait_for_all(orders, "fulfilled")
    lose_database(clean, "payment")
    clean.wait_until(lambda: clean.log_lines("payment", "stopped"), what="payment refusing to start")

    answer = replay(clean, "payment", "--from", folder / "before the loss", "--swap")

    assert answer["lost"] and answer["swapped"] and answer["folded"] < 200
    clean.wait_ready("payment")
    shop.cancel(orders[0])
    shop.wait_for(orders[0], "closed")
    equal(clean, "payment")
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


def test_what_was_set_aside_and_is_not_any_more_is_folded_from_a_snapshot_too(clean, shop, folder):
    dear = shop.product(price=41337)
    clean.sql("payment", "ALTER TABLE payment_requests ADD CONSTRAINT none_of_it CHECK (amount_minor <> 41337) NOT VALID")
    order = shop.order((dear, 1))
    letter = clean.wait_until(lambda: [row for row in shop.dead_letters("payment") if row["key"] == order], what="a dead letter")[0]
    clean.sql("payment", "ALTER TABLE payment_requests DROP CONSTRAINT none_of_it")
    saved(clean, "payment", folder / "with a dead letter")
    clean.tradewind("dlq", "redrive", "payment", letter["id"])
    shop.wait_for(order, "fulfilled")

    assert replay(clean, "payment", "--from", folder / "with a dead letter", "--compare")["equal"]


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["payment", "inventory"])
def test_every_byte_that_was_changed_is_found(clean, ends, folder, part):
    path = folder / f"whole of {part}"
    saved(clean, part, path)
    content = path.read_bytes()
    broken = folder / "broken"
    replay(clean, part, "--fresh")  # is there afterwards as before

    for at in range(0, len(content), len(content) // 20):
        broken.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert "not whole, or was changed" in refused(clean, part, "--from", broken)
    for size in (0, 50, len(content) // 2, len(content) - 1):
        broken.write_bytes(content[:size])
        assert "not whole, or was changed" in refused(clean, part, "--from", broken)

    answer = replay(clean, part, "--compare")
    assert answer["equal"] and answer["folded"] == 0


def test_a_row_that_was_forged_is_found_by_the_comparison(clean, ends, folder):
    saved(clean, "payment", folder / "good")
    forge = lambda lines: [line.replace(b'"provider_ref":"', b'"provider_ref":"X', 1) for line in lines]

    found = replay(clean, "payment", "--from", forged(folder / "good", forge, folder / "forged"), "--compare", code=1)

    assert {difference["column"] for difference in found["differences"]} == {"provider_ref"}


@pytest.mark.parametrize("part", ["payment", "inventory"])
def test_a_snapshot_that_does_not_fit_is_refused(clean, ends, folder, part):
    good = folder / f"good of {part}"
    saved(clean, part, good)
    bad = folder / "bad"
    other = "fraud" if part == "payment" else "payment"
    partitions = clean.settings["TRADEWIND_PARTITIONS"]

    assert f"is of {part}, not of {other}" in refused(clean, other, "--from", good)
    newer = lambda lines: [lines[0].replace(b"\t1\t", b"\t2\t", 1), *lines[1:]]
    assert "another version" in refused(clean, part, "--from", forged(good, newer, bad))
    tables = lambda lines: [b"\t".join([*lines[0].split(b"\t")[:3], b"00", lines[0].split(b"\t")[4]]), *lines[1:]]
    assert "another version" in refused(clean, part, "--from", forged(good, tables, bad))
    more = lambda lines: [lines[0].replace(f"\t{partitions}\n".encode(), b"\t24\n"), *lines[1:]]
    assert f"with 24 partitions, not {partitions}" in refused(clean, part, "--from", forged(good, more, bad))
    beyond = place_changed(3, lambda offset: b"99999999")
    assert "ends at offset" in refused(clean, part, "--from", forged(good, beyond, bad))
    elsewhere = place_changed(6, lambda witness: b"0" * 64 + b"\n")
    assert "is another record than" in refused(clean, part, "--from", forged(good, elsewhere, bad))
    noise = lambda lines: [*lines, b"noise\n"]
    assert "says nothing: noise" in refused(clean, part, "--from", forged(good, noise, bad))
    assert "No such file" in refused(clean, part, "--from", folder / "nowhere")
    assert "is there already" in refused(clean, part, "--save", good)
    assert replay(clean, part, "--from", good, "--compare")["equal"]


def test_what_cannot_be_written_to_its_end_is_not_there(clean, ends, folder):
    assert "No such file" in refused(clean, "payment", "--save", folder / "nowhere" / "file")

    full = limited(clean, program(), "replay", "payment", "--fresh", "--save", folder / "full", bytes_max=20_000)

    assert full.returncode == 2 and f"{folder / 'full'}: File too large" in full.stderr
    assert not list(folder.glob("full*"))


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--from", "x", "--fresh"], "--from begins again"),
        (["--from", "x", "--undo"], "--from begins again"),
        (["--save", "x", "--drop"], "--drop builds nothing"),
    ],
)
def test_what_does_not_go_together_is_said(clean, words, sentence):
    assert sentence in refused(clean, "payment", *words)


def test_what_stands_behind_the_time_that_is_wanted_is_refused(clean, shop, ends, folder):
    partition = shop.records("shop.payments.v1", ends["fulfilled"][0])[0].partition()
    until = ["--until", f"payment/{partition}/1"]
    saved(clean, "payment", folder / "now")

    assert "stands behind that" in refused(clean, "payment", *until)
    assert "stands behind that" in refused(clean, "payment", "--from", folder / "now", *until)
    assert replay(clean, "payment", "--fresh", *until)["folded"] > 0
