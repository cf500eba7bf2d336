"""What older programs wrote replays to the state that it led to then: each generation of the golden corpus (tests/corpus)
is published into empty topics, and every part's state is rebuilt from it. The ledger that inventory wrote then is read, too."""

from json import loads

import pytest
from archives import done, make_topics
from corpus import STATE, generations, ledger_of, publish, put_ledger, state_of, stock_of
from replays import replay


@pytest.fixture
def ledger(still):
    """What is in the ledger's place afterwards again."""
    documents = ledger_of(still)
    yield documents
    put_ledger(still, documents)


@pytest.mark.parametrize("generation", generations(), ids=lambda path: path.stem)
def test_a_generation_arrives_at_the_state_that_it_led_to(emptied, ledger, generation):
    make_topics(emptied)
    published = publish(emptied, generation)
    written = loads(generation.read_text())

    rebuilt = {}
    for part in STATE:
        done(emptied, "replay", part, "--fresh")
        rebuilt[part] = state_of(emptied, part, "replay_shadow.")
        emptied.tradewind("replay", part, "--drop", as_json=False)
    if "ledger" in written:
        rebuilt["inventory"] = stock_of(emptied)
        put_ledger(emptied, written["ledger"])
        answer = replay(emptied, "inventory", "--compare")
        emptied.tradewind("replay", "inventory", "--drop", as_json=False)
        assert answer["equal"] and not answer["lost"]

    assert published > 50
    assert rebuilt == written["state"]


def test_the_newest_generation_has_the_state_of_every_part():
    assert set(loads(generations()[-1].read_text())["state"]) == {*STATE, "inventory"}
