"""What older programs wrote replays to the state that it led to then: each generation of the golden corpus (tests/corpus)
is published into empty topics, and every part's state is rebuilt from it."""

from json import loads

import pytest
from archives import done, make_topics
from corpus import STATE, generations, publish, state_of


@pytest.mark.parametrize("generation", generations(), ids=lambda path: path.stem)
def test_a_generation_arrives_at_the_state_that_it_led_to(emptied, generation):
    make_topics(emptied)
    published = publish(emptied, generation)

    rebuilt = {}
    for part in STATE:
        done(emptied, "replay", part, "--fresh")
        rebuilt[part] = state_of(emptied, part, "replay_shadow.")
        emptied.tradewind("replay", part, "--drop", as_json=False)

    assert published > 50
    assert rebuilt == loads(generation.read_text())["state"]
