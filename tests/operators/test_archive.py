"""tradewind archive and restore on real servers: topics become files that anybody can read, and come back exactly as
they were; whoever is killed goes on; what is not whole is found, and nothing of it is believed."""

import fcntl
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import fastavro
import pytest
import requests
from archives import admin_of, done, empty_topics, in_files, in_topics, make_topics, manifest, sums_of, there
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic
from limits import limited
from local_stack import BUILD, CHECKOUT
from protocol import produce_at
from records import number_of
from replays import refused as replay_refused
from replays import replay
from snapshots import forged, place_changed, saved

COPIES = "shop.orders.v1.payment.dlq"  # where strangers' records harm nobody


def program():
    return BUILD / "ops" / "tradewind"


def refused(stack, *words, code=2):
    """The one sentence that a refusal ends in."""
    ended = stack.run_tradewind(*words)
    assert ended.returncode == code, f"exit {ended.returncode}\n{ended.stdout}{ended.stderr}"
    lines = [line for line in ended.stderr.splitlines() if line.startswith(f"tradewind {words[0]}: ")]
    assert len(lines) == 1, ended.stderr
    return lines[0]


def told(stack):
    rows = [row["data"] for row in stack.tradewind("ops", "log", "--json")]
    return [row for row in rows if row["action"].startswith("topics.")]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


# --- Archive ----------------------------------------------------------------------------------------------------------


def test_a_foreign_reader_finds_every_record_as_it_lies_in_its_topic(still, folder):
    lying = in_topics(still)

    answer = done(still, "archive", folder)

    assert in_files(folder) == lying
    assert answer["records"] == answer["added"] == sum(map(len, lying.values())) > 200
    assert {(None, None), (b"", b"")} < {record[1:3] for record in lying["shop.orders.v1.payment.dlq", 0]}


def test_the_manifest_has_counts_offsets_and_numbers(still):
    for message in still.consume("shop.payments.v1"):
        place = next(
            place
            for place in manifest(still.archived)["partitions"]
            if (place["topic"], place["partition"]) == (message.topic(), message.partition())
        )
        (numbers,) = place["numbers"]
        assert (numbers["source"], numbers["shard"], numbers["first"]) == ("payment", message.partition(), 1)
        assert number_of(message) <= numbers["last"] == numbers["records"] == place["records"]
        assert place["first_offset"] == 0 and message.offset() <= place["last_offset"]


def test_what_came_since_is_added_and_what_was_there_stays(still, folder):
    done(still, "archive", folder)
    before = {path.name: path.read_bytes() for path in folder.glob("*.avro")}

    again = done(still, "archive", folder)

    assert again["added"] == 1  # what the first told of itself
    assert {path.name: path.read_bytes() for path in folder.glob("*.avro")}.items() >= before.items()
    assert in_files(folder) == {place: records for place, records in in_topics(still).items()} | {
        ("shop.ops.v1", place[1]): records[:-1] for place, records in in_topics(still).items() if is_last_told(place, records)
    }
    assert done(still, "archive", "--verify", folder)["records"] == again["records"]


def is_last_told(place, records):
    """The partition in which the last archive has told itself: that record came behind its end."""
    return place[0] == "shop.ops.v1" and records[-1][1] == b"archive"


def test_each_archive_is_told(still, folder):
    still.tradewind("archive", folder, "--because", "before the move", as_json=False)

    row = told(still)[-1]
    assert (row["part"], row["action"], row["subject"]) == ("archive", "topics.archive", str(folder))
    assert row["reason"] == "before the move" and row["actor"]
    assert json.loads(row["after"])["records"] == done(still, "archive", "--verify", folder)["records"]


def test_two_do_not_write_one_archive(still, folder):
    folder.mkdir()
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)

    sentence = refused(still, "archive", folder)

    os.close(held)
    assert "another tradewind archive or restore works in it" in sentence


# --- Not whole --------------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(still, folder):
    shutil.copytree(still.archived, folder)
    return folder


def test_every_flipped_byte_is_found(still, copy):
    """A byte here and there in each kind of file; restore believes nothing of it either."""
    dice = random.Random(20261121)
    small = min(copy.glob("shop.payments*.avro"), key=lambda path: path.stat().st_size)
    places = [(small, at) for at in range(0, small.stat().st_size, 131)]
    manifest_path = copy / "manifest.json"
    places += [(manifest_path, dice.randrange(manifest_path.stat().st_size)) for _ in range(20)]
    for path, at in places:
        bytes_before = path.read_bytes()
        flipped = bytearray(bytes_before)
        flipped[at] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        sentence = refused(still, "archive", "--verify", copy, code=1)
        assert path.name in sentence, (path.name, at, sentence)
        path.write_bytes(bytes_before)
    assert done(still, "archive", "--verify", copy)


def a_file(folder):
    return max(folder.glob("shop.orders.v1-*.avro"), key=lambda path: path.stat().st_size)


def cut(folder):
    path = a_file(folder)
    os.truncate(path, path.stat().st_size - 7)


def lose(folder):
    a_file(folder).unlink()


def swap_two(folder):
    first, second, *_ = sorted(folder.glob("shop.payments.v1-*.avro"))
    first.rename(folder / "x")
    second.rename(first)
    (folder / "x").rename(second)


def another_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"records":', '"records":1', 1))


def reorder(folder):
    """Two records of one file change places; the file is as good an Avro file as before."""
    path = a_file(folder)
    with open(path, "rb") as file:
        reader = fastavro.reader(file)
        schema, records = reader.writer_schema, list(reader)
    records[0], records[1] = records[1], records[0]
    with open(path, "wb") as file:
        fastavro.writer(file, schema, records)


@pytest.mark.parametrize("harm", [cut, lose, swap_two, another_manifest, reorder])
def test_what_is_not_whole_is_found(still, copy, harm):
    harm(copy)

    found = refused(still, "archive", "--verify", copy, code=1)

    assert refused(still, "restore", copy).removeprefix("tradewind restore") == found.removeprefix("tradewind archive")


def test_of_what_is_not_whole_nothing_is_restored(emptied, copy):
    cut(copy)

    refused(emptied, "restore", copy)

    assert not there(emptied)


def test_a_folder_without_an_archive(still, tmp_path):
    (tmp_path / "letter.txt").write_text("hello")

    assert "there is no archive in it" in refused(still, "archive", tmp_path)
    assert "there is no archive in it" in refused(still, "restore", tmp_path)
    assert "No such file" in refused(still, "restore", tmp_path / "nowhere")


def by_a_limit(still, folder):
    """A file that may not grow beyond a size; gives the complaint."""
    ended = limited(still, program(), "archive", folder, bytes_max=100_000)

    assert ended.returncode == 2
    assert not list(folder.glob("*.partial"))
    assert done(still, "archive", "--verify", folder)["records"] < sum(map(len, still.was.values()))
    done(still, "archive", folder)
    return ended.stderr


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=100k none "$DISK" || exit 99
"$TRADEWIND" archive "$DISK/archive" --file-kib 8 2>"$DISK.complaint"
[ $? = 2 ] && ! ls "$DISK/archive" | grep -q partial || exit 98
"$TRADEWIND" archive --verify "$DISK/archive" || exit 97
mount -o remount,size=64m "$DISK" || exit 96
"$TRADEWIND" archive "$DISK/archive" || exit 95
cp -r "$DISK/archive" "$FOLDER"
"""


def by_a_small_disk(still, folder):
    """A file system that is full, and is made larger: in a name space of one's own anybody may mount one."""
    disk = folder.parent / "disk"
    disk.mkdir()
    places = {"DISK": str(disk), "FOLDER": str(folder), "TRADEWIND": str(program())}
    for name in ("TRADEWIND_JWKS", "TRADEWIND_SIGNING_KEY"):  # in there files of other users are nobody's
        places[name] = shutil.copy(still.settings[name], folder.parent)

    ended = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK], env={**os.environ, **still.settings, **places}, capture_output=True, text=True
    )

    complaint = Path(f"{disk}.complaint").read_text()
    assert ended.returncode == 0, f"exit {ended.returncode}\n{ended.stdout}{ended.stderr}{complaint}"
    return complaint


# A machine that lets nobody have name spaces of his own has the limit only.
MAY_MOUNT = subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
WAYS = {by_a_limit: "File too large"} | ({by_a_small_disk: "No space left on device"} if MAY_MOUNT else {})


@pytest.mark.parametrize("fill", WAYS)
def test_a_full_disk_ends_it_and_it_goes_on_when_there_is_room(still, folder, fill):
    complaint = [line for line in fill(still, folder).splitlines() if line.startswith("tradewind archive: ")]

    assert len(complaint) == 1
    assert f"{WAYS[fill]}; what is complete stays, and the same command goes on from there" in complaint[0]
    assert all(in_files(folder)[place][: len(records)] == records for place, records in still.was.items())


def test_another_cluster_is_not_taken_for_the_archived_one(emptied):
    assert "there is no topic" in refused(emptied, "archive", emptied.archived)
    make_topics(emptied)
    assert "it is not the topic that was archived" in refused(emptied, "archive", emptied.archived)
    for (topic, partition), records in emptied.was.items():
        for record in records:
            emptied.produce(topic, b"other", partition=partition)
    assert "lies another record than the archive has" in refused(emptied, "archive", emptied.archived)


# --- Restore ----------------------------------------------------------------------------------------------------------


def test_restored_topics_hold_what_was_archived_and_replay_to_the_same_sums(emptied):
    still = emptied
    dry = done(still, "restore", still.archived, "--dry-run")

    answer = done(still, "restore", still.archived, "--because", "a new cluster")

    records = sum(map(len, still.was.values()))
    assert (dry["dry_run"], dry["sent"], dry["records"]) == (True, 0, records)
    assert (answer["sent"], answer["records"], answer["went_on"]) == (records, records, False)
    now = in_topics(still)
    telling = [now["shop.ops.v1", place].pop() for topic, place in now if topic == "shop.ops.v1" and now[topic, place][-1][1] == b"archive"]
    assert {place: rows for place, rows in now.items() if rows} == still.was
    assert len(telling) == 1 and told(still)[-1]["reason"] == "a new cluster"
    for part, sums in still.sums.items():
        assert sums_of(still, part) == sums


def test_the_commands_of_the_runbook_do_what_it_says(still, folder):
    section = (CHECKOUT / "docs" / "runbook.md").read_text().split("## Archive and restore")[1].split("\n## ")[0]
    commands = [shlex.split(line)[1:] for line in re.findall(r"^ +(tradewind .*)$", section, re.M)]
    lying = in_topics(still)

    for words in commands:
        if words[0] == "restore":
            empty_topics(still)
        still.tradewind(*[str(folder) if word == "DIR" else word for word in words], as_json=False)

    assert [words[0] for words in commands] == ["archive", "archive", "restore", "restore"]
    now = in_topics(still)
    assert all(now[place][: len(records)] == records for place, records in lying.items())


def test_restore_goes_into_empty_topics_only(emptied):
    still = emptied
    make_topics(still)
    for (topic, partition), records in still.was.items():
        for _ in records:
            still.produce(topic, b"another", partition=partition)

    sentence = refused(still, "restore", still.archived)

    assert "restore goes into empty topics only" in sentence
    assert not list(still.archived.glob("restoring-*.json"))


def test_a_restore_that_has_ended_ends_well_again(still, folder):
    done(still, "archive", folder)
    lying = in_topics(still)

    again = [done(still, "restore", folder, *words) for words in ((), ("--dry-run",))]
    said = still.tradewind("restore", folder, as_json=False)

    assert [(answer["already"], answer["sent"], answer["went_on"]) for answer in again] == [(True, 0, False)] * 2
    assert "already restored, verified" in said
    assert in_topics(still) == lying and not list(folder.glob("restoring-*.json"))
    still.produce(COPIES, b"mine", partition=0)
    assert "restore goes into empty topics only" in refused(still, "restore", folder)


def test_a_record_of_the_first_millisecond_comes_back_with_the_second(still, folder):
    topic, partition = COPIES, 0
    produce_at(still, topic, partition, 0, b"from 1970")
    assert in_topics(still)[topic, partition][-1][0] == 0
    done(still, "archive", folder)
    assert in_files(folder)[topic, partition][-1][0] == 0

    empty_topics(still)
    answer = done(still, "restore", folder)

    assert (answer["sent"], answer["zero_times"]) == (answer["records"], 1)
    assert in_topics(still)[topic, partition][-1][:3] == (1, None, b"from 1970")
    again = done(still, "restore", folder)
    assert (again["already"], again["zero_times"]) == (True, 1)


def test_restore_wants_the_parts_stopped(still):
    still.start("catalog")
    still.wait_until(lambda: lives(still, "catalog"), what="catalog living")

    sentence = refused(still, "restore", still.archived)

    still.stop("catalog")
    assert "catalog runs, and would write while its topic is restored" in sentence


def test_topics_of_another_shape_are_refused(emptied):
    admin = admin_of(emptied)
    for future in admin.create_topics([NewTopic("shop.orders.v1", 3, 1)]).values():
        future.result(30)
    emptied.wait_until(lambda: there(emptied), what="the topic being there")

    sentence = refused(emptied, "restore", emptied.archived)

    assert "shop.orders.v1 has 3 partitions, and the archive has 12 of it" in sentence


def lives(stack, part):
    host, port = stack.settings[f"TRADEWIND_{part.upper()}_HTTP"].rsplit(":", 1)
    try:
        return requests.get(f"http://{host}:{port}/livez", timeout=2).ok
    except requests.ConnectionError:
        return False


# --- Killed -----------------------------------------------------------------------------------------------------------


def kill_until_done(stack, dice, *words):
    """Start the command again and again, and kill it ever later, until one ends by itself. Gives how many were killed."""
    delay, killed = 0.02, 0
    while True:
        process = subprocess.Popen(
            [program(), *map(str, words)], env={**os.environ, **stack.settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            out, err = process.communicate(timeout=dice.uniform(0.5, 1) * delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            delay *= 1.25
            continue
        assert process.returncode == 0, out + err
        return killed


def test_an_archive_that_is_killed_goes_on_and_is_complete(still, folder):
    killed = kill_until_done(still, random.Random(1), "archive", folder, "--file-kib", "4")

    assert killed >= 5
    lying, files = in_topics(still), in_files(folder)
    assert all(files[place][: len(records)] == records for place, records in still.was.items())
    assert all(lying[place][: len(records)] == records for place, records in files.items())
    assert not list(folder.glob("*.partial"))
    named = {file["name"] for place in manifest(folder)["partitions"] for file in place["files"]}
    assert named == {path.name for path in folder.glob("*.avro")}
    done(still, "archive", "--verify", folder)


def test_a_restore_that_is_killed_goes_on_and_is_complete(emptied):
    still = emptied

    killed = kill_until_done(still, random.Random(2), "restore", still.archived)

    assert killed >= 5
    now = in_topics(still)
    assert all(now[place][: len(records)] == records for place, records in still.was.items())
    extra = {place: now[place][len(still.was.get(place, [])) :] for place in now}
    told_of_it = [record for records in extra.values() for record in records]
    assert 1 <= len(told_of_it) and {record[1] for record in told_of_it} == {b"archive"}
    assert len({(tuple(record[3]), record[2]) for record in told_of_it}) == 1  # told again, it is the same record
    assert not list(still.archived.glob("restoring-*.json"))


def test_whoever_writes_into_a_restore_is_found(emptied):
    """A restore that was killed, and then somebody wrote a record of his own."""
    still = emptied
    process = subprocess.Popen([program(), "restore", still.archived], env={**os.environ, **still.settings}, stderr=subprocess.PIPE)
    still.wait_until(lambda: list(still.archived.glob("restoring-*.json")), what="the restore having begun")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    make_topics(still)
    still.produce("shop.emails.v1", b"mine", partition=11)

    sentence = refused(still, "restore", still.archived)

    assert "shop.emails.v1/11 holds another record" in sentence or "shop.emails.v1/11 holds more" in sentence


# --- Snapshots of replays ----------------------------------------------------------------------------------------------


@pytest.fixture
def kept(still, tmp_path):
    """Snapshots of the state that the archive holds."""
    for part in ("payment", "inventory"):
        saved(still, part, tmp_path / part)
    return tmp_path


def trim(stack, topic):
    """Forget every record that the topic holds, as a retention that an operator has set would."""
    partitions = range(int(stack.settings["TRADEWIND_PARTITIONS"]))
    ends = [TopicPartition(topic, partition, -1) for partition in partitions]
    admin = admin_of(stack)
    for trimmed in admin.delete_records(ends).values():
        trimmed.result(30)


def test_a_snapshot_of_a_replay_fits_restored_topics_and_such_without_their_beginnings(kept, emptied):
    """Not those that are empty, nor those that begin behind it."""
    make_topics(emptied)
    for part in ("payment", "inventory"):
        assert "ends at offset" in replay_refused(emptied, part, "--from", kept / part)
    done(emptied, "restore", emptied.archived)

    for part in ("payment", "inventory"):
        answer = replay(emptied, part, "--from", kept / part, "--compare")
        assert answer["equal"] and answer["folded"] == 0

    for topic in ("shop.orders.v1", "shop.payments.v1", "shop.inventory.v1"):
        trim(emptied, topic)
    for part in ("payment", "inventory"):
        answer = replay(emptied, part, "--from", kept / part, "--compare")
        assert answer["equal"] and answer["folded"] == 0
        earlier = forged(kept / part, place_changed(3, lambda offset: b"%d" % (int(offset) - 1)), kept / "earlier")
        assert "is not in the topic any more" in replay_refused(emptied, part, "--from", earlier)
        emptied.run_tradewind("replay", part, "--drop")
