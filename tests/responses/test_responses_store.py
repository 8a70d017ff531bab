# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's store: bounded, exact about its bytes, fair between keys; and what is picked from passing bytes."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seeds import fresh_seed

from llama_orch.tap.responses.harvest import Frames, Harvest
from llama_orch.tap.responses.item import stored
from llama_orch.tap.responses.listing import page
from llama_orch.tap.responses.plan import Plan
from llama_orch.tap.responses.question import Question
from llama_orch.tap.responses.responses import record
from llama_orch.tap.responses.store import Store
from llama_orch.wire.generation import Choice, Head, Whole
from llama_orch.wire.responses import DIALECT
from llama_orch.wire.responses.stream import EventStream
from llama_orch_utils.errors import BadRequest, OrchError, RequestError
from llama_orch_utils.types import Usage


def response(identity: str, text: str = "said", **more: Any) -> dict[str, Any]:
    generation = DIALECT.parse(json.dumps({"input": "Hi"} | more).encode())
    return json.loads(DIALECT.answer(Head(identity, "m", 1), Whole((Choice(text, "stop"),), Usage()), generation))


def put(store: Store, owner: str, identity: str, text: str = "said", after: str | None = None) -> None:
    body: dict[str, Any] = {"input": f"to {identity}"} | ({"previous_response_id": after} if after else {})
    plan = Plan(json.dumps(body).encode(), store, owner)
    store.put(owner, record(response(identity, text), plan.given, None))


def test_what_is_continued_is_expanded() -> None:
    store = Store()
    put(store, "k", "resp_1", "one")
    put(store, "k", "resp_2", "two", after="resp_1")
    body = {"input": "three", "previous_response_id": "resp_2", "temperature": 0.5, "instructions": "ä"}
    sent = json.loads(Plan(json.dumps(body).encode(), store, "k").body)
    assert sent["x_orch_expanded"] == 4
    assert (sent["temperature"], sent["instructions"], sent["previous_response_id"]) == (0.5, "ä", "resp_2")
    (chat,) = DIALECT.parse(Plan(json.dumps(body).encode(), store, "k").body).prompts
    said = [(turn["role"], turn["content"]) for turn in chat.turns]  # type: ignore[union-attr]
    assert said == [
        ("system", "ä"),
        ("user", "to resp_1"),
        ("assistant", "one"),
        ("user", "to resp_2"),
        ("assistant", "two"),
        ("user", "three"),
    ]


def test_a_body_that_refers_to_nothing_passes_unchanged() -> None:
    body = b'{"input" : "Hi",  "store":false}'
    plan = Plan(body, Store(), "k")
    assert plan.body is body
    assert (plan.stored, plan.background, plan.model) == (False, False, None)


def test_items_are_found_by_reference() -> None:
    store = Store()
    put(store, "k", "resp_1", "one")
    body = {"input": [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_1_0"}, {"id": "msg_1_0"}]}
    sent = json.loads(Plan(json.dumps(body).encode(), store, "k").body)
    assert [item.get("id") for item in sent["input"]] == [None, "msg_1_0", "msg_1_0"]
    assert sent["x_orch_expanded"] == 0


REFUSED = [
    ({"previous_response_id": "resp_0"}, 404, "/previous_response_id"),
    ({"previous_response_id": "resp_failed"}, 400, "/previous_response_id"),
    ({"input": [{"type": "item_reference", "id": "msg_0"}]}, 404, "/input/0/id"),
    ({"input": [{"type": "item_reference"}]}, 400, "/input/0/id"),
    ({"x_orch_expanded": 3}, 400, "/x_orch_expanded"),
    ({"model": 5}, 400, "/model"),
    ({"model": ""}, 400, "/model"),
]


@pytest.mark.parametrize(("body", "status", "param"), REFUSED)
def test_what_is_not_there_is_told(body: dict[str, Any], status: int, param: str) -> None:
    store = Store()
    put(store, "other", "resp_0")
    store.put("k", record(response("resp_failed") | {"status": "failed"}, (), None))
    with pytest.raises(RequestError) as caught:
        Plan(json.dumps({"input": "Hi"} | body).encode(), store, "k")
    assert (caught.value.status, caught.value.param) == (status, param)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"a": 1, "a": 2, "previous_response_id": "r"}', b"\xff", b"[" * 9999]
)
def test_broken_bodies(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        Plan(body, Store(), "k")
    assert caught.value.code == "invalid_json"


def test_the_oldest_goes_first_and_a_look_makes_young() -> None:
    store = Store(most_responses=3)
    for number in range(3):
        put(store, "k", f"resp_{number}")
    assert store.get("k", "resp_0") is not None
    put(store, "k", "resp_3")
    assert [store.get("k", f"resp_{number}") is not None for number in range(4)] == [True, False, True, True]
    assert store.item("k", "msg_1_0") is None
    assert store.item("k", "msg_0_0") is not None


def test_nobody_pushes_out_what_others_have_stored() -> None:
    store = Store(most_responses=10, most_bytes=200_000)
    put(store, "quiet", "resp_mine")
    for number in range(200):
        put(store, "loud", f"resp_{number}", "x" * 2000)
        assert store.bytes <= 200_000
        assert len(store) <= 10
    assert store.get("quiet", "resp_mine") is not None


def test_what_is_larger_than_the_store_is_not_stored() -> None:
    store = Store(most_bytes=10_000)
    put(store, "k", "resp_1", "x" * 20_000)
    assert (len(store), store.bytes) == (0, 0)


def test_a_chain_shares_its_items() -> None:
    store = Store()
    put(store, "k", "resp_0", "y" * 100_000)
    alone = store.bytes
    for number in range(1, 20):
        put(store, "k", f"resp_{number}", after=f"resp_{number - 1}")
    assert store.bytes < alone + 19 * 5_000
    store.remove("k", "resp_0")
    found = store.get("k", "resp_19")
    assert found is not None
    assert len(found.given) == 39
    assert store.bytes > 100_000


def test_bytes_are_exact_whatever_happens() -> None:
    seed = fresh_seed()
    print("seed", seed)
    pick = random.Random(seed)
    store = Store(most_responses=20, most_bytes=60_000)
    for step in range(400):
        owner = pick.choice("ab")
        past = [name for name in (f"resp_{n}" for n in range(step)) if store.get(owner, name)]
        if past and pick.random() < 0.2:
            store.remove(owner, pick.choice(past))
        else:
            text = "z" * pick.randrange(4000)
            put(store, owner, f"resp_{pick.randrange(step + 1)}", text, pick.choice([None, *past[-3:]]))
        assert store.bytes <= 60_000
        assert len(store) <= 20
    for owner in "ab":
        for number in range(400):
            store.remove(owner, f"resp_{number}")
    assert (len(store), store.bytes) == (0, 0)


def frames(text: str) -> bytes:
    generation = DIALECT.parse(b'{"input": "Hi", "stream": true}')
    stream = EventStream(Head("resp_5", "m", 1), generation)
    said = stream.start(Usage()) + stream.text(0, text, ()) + b": keep-alive\n\n"
    return said + stream.finish(0, "stop", None) + stream.end(Usage())


@given(st.text(st.characters(exclude_categories=("Cs",))), st.lists(st.integers(0, 5000), max_size=8), st.booleans())
def test_a_response_is_picked_however_its_bytes_are_cut(text: str, cuts: list[int], streamed: bool) -> None:
    whole = frames(text) if streamed else json.dumps(response("resp_5", text), ensure_ascii=False).encode()
    kept: list[Any] = []
    harvest = Harvest(kept.append)
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    for start, end in itertools.pairwise(places):
        assert not kept or not whole[start:end].strip() or streamed
        harvest(whole[start:end])
    assert [found["output"][0]["content"][0]["text"] for found in kept] == [text]


def test_an_error_is_not_stored() -> None:
    kept: list[Any] = []
    Harvest(kept.append)(b'{"error": {"message": "no"}}')
    Harvest(kept.append)(b'{"object": "list"')
    assert kept == []


@given(st.binary(max_size=200), st.integers(1, 20))
def test_frames_lose_nothing(data: bytes, size: int) -> None:
    cutter = Frames()
    found = [frame for at in range(0, len(data), size) for frame in cutter.push(data[at : at + size])]
    assert data.startswith(b"".join(found))
    assert b"\n\n" not in data[len(b"".join(found)) :] or data.endswith(b"\n\n")


def test_pages() -> None:
    items = [stored({"type": "message", "role": "user", "content": str(n), "id": f"msg_{n}"}) for n in range(5)]

    def ids(query: bytes) -> tuple[list[str], bool]:
        found = json.loads(page(items, Question(query)))
        names = [item["id"] for item in found["data"]]
        assert (found["first_id"], found["last_id"]) == ((names[0], names[-1]) if names else (None, None))
        return names, found["has_more"]

    assert ids(b"") == (["msg_4", "msg_3", "msg_2", "msg_1", "msg_0"], False)
    assert ids(b"order=asc&limit=2") == (["msg_0", "msg_1"], True)
    assert ids(b"order=asc&limit=2&after=msg_3") == (["msg_4"], False)
    assert ids(b"after=msg_0&include%5B%5D=x") == ([], False)
    assert json.loads(items[0].json)["content"] == [{"type": "input_text", "text": "0"}]
    for wrong in (b"limit=0", b"limit=101", b"limit=x", b"limit=" + b"9" * 99, b"order=up", b"after=msg_9", b"%ff=1"):
        with pytest.raises(BadRequest):
            ids(wrong)


@given(st.binary(max_size=60))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    try:
        question = Question(query)
        question.flag("stream")
        question.integer("limit", 1, 100, usual=20)
    except OrchError as error:
        assert error.status == 400  # noqa: PT017
