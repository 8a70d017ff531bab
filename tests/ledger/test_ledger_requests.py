# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PT017 - whether it is refused is what the test finds out
"""A request's life in the ledger, on both databases: admitted or refused, settled once, released, swept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ledger_house import EURO, Clock, House, used

from llama_orch.ledger.check import check
from llama_orch.ledger.ending import ELSEWHERE
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import EngineCount, Reservation
from llama_orch_utils.errors import (
    BadRequest,
    BudgetExceeded,
    InsufficientCredits,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    RateLimited,
    RequestError,
)


def play(house: House, scene: Callable[[Ledger], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        ledger = await Ledger.open(house.url, clock=house.clock)
        try:
            return await scene(ledger)
        finally:
            await ledger.close()

    return asyncio.run(run())


def test_a_request_is_charged_what_it_used_and_the_rest_goes_back(house: House) -> None:
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=100, wanted=200))
        assert (held.amount, held.max_tokens, held.clamped, held.balance) == (300, 200, False, 700)
        money = await ledger.credits(house.account)
        assert (money.balance, money.reserved, money.paused) == (700, 300, False)
        charge = await ledger.settle(held.id, used(90, 40, cached=30), "stop")
        assert (charge.cost, charge.again, charge.balance) == (130, False, 870)
        again = await ledger.settle(held.id, used(90, 199), "stop")
        assert (again.cost, again.again, again.usage) == (130, True, used(90, 40, cached=30))
        await ledger.release(held.id, "too late: it was charged")
        money = await ledger.credits(house.account)
        assert (money.balance, money.reserved) == (870, 0)
        assert check(house.url) == []

    play(house, scene)


def test_the_cost_is_rounded_up_once_over_the_sum_of_its_parts(house: House) -> None:
    house.grant(EURO)
    house.set_price(input=1, cached=1, output=1)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=3, wanted=3))
        assert held.amount == 1
        assert (await ledger.settle(held.id, used(3, 3, cached=1), "stop")).cost == 1

    play(house, scene)


def test_every_part_has_its_own_price(house: House) -> None:
    house.grant(EURO)
    house.set_price(input=3 * EURO, cached=EURO, output=7 * EURO, embeddings=11 * EURO, gpu_second=5 * EURO)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=10, wanted=4, gpu_microseconds=100))
        assert held.amount == 10 * 3 + 4 * 7 + 100 * 5
        charge = await ledger.settle(held.id, used(10, 4, cached=6, gpu_microseconds=60), "stop")
        assert charge.cost == 4 * 3 + 6 * 1 + 4 * 7 + 60 * 5
        held = await ledger.reserve(house.order(prompt=10, wanted=None, kind="embed"))
        assert (held.amount, held.max_tokens) == (110, 0)
        assert (await ledger.settle(held.id, used(0, 0, embedding_tokens=9), "stop")).cost == 99

    play(house, scene)


def test_an_open_number_of_tokens_is_clamped_to_what_the_balance_affords(house: House) -> None:
    house.grant(100)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=30, wanted=None, context_left=4096))
        assert (held.max_tokens, held.amount, held.clamped) == (70, 100, True)
        await ledger.settle(held.id, used(30, 20), "stop")
        held = await ledger.reserve(house.order(prompt=1, wanted=None, context_left=5))
        assert (held.max_tokens, held.clamped) == (5, False)
        await ledger.release(held.id, "the upstream refused")

    play(house, scene)


def test_what_is_not_affordable_is_refused_and_says_what_would_be(house: House) -> None:
    house.grant(100)

    async def scene(ledger: Ledger) -> None:
        with pytest.raises(InsufficientCredits) as refusal:
            await ledger.reserve(house.order(prompt=30, wanted=71))
        error = refusal.value
        assert (error.balance, error.affordable_max_tokens, error.limit_source, error.status) == (
            100,
            70,
            "credits",
            402,
        )
        with pytest.raises(InsufficientCredits) as refusal:
            await ledger.reserve(house.order(prompt=101, wanted=None))
        assert refusal.value.affordable_max_tokens == 0
        with pytest.raises(InsufficientCredits):
            await ledger.reserve(house.order(prompt=100, wanted=None))  # not one token after the prompt
        held = await ledger.reserve(house.order(prompt=30, wanted=70))
        await ledger.settle(held.id, used(30, 70), "length")
        assert (await ledger.credits(house.account)).paused
        with pytest.raises(InsufficientCredits):
            await ledger.reserve(house.order(prompt=0, wanted=1))
        house.grant(50)  # by another process, while this one serves
        await ledger.release((await ledger.reserve(house.order())).id, "no need")

    play(house, scene)


def test_an_upstream_that_used_more_than_was_reserved_is_charged_the_reservation(house: House) -> None:
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=10, wanted=10))
        assert (await ledger.settle(held.id, used(10, 500), "stop")).cost == 20
        held = await ledger.reserve(house.order(prompt=10, wanted=10))
        assert (await ledger.settle(held.id, used(-5, -7, cached=90), "stop")).cost == 0

    play(house, scene)


def test_a_request_that_reaches_no_model_costs_nothing_and_still_counts(house: House) -> None:
    house.change_key(requests_per_minute=2)

    async def scene(ledger: Ledger) -> None:
        for _ in range(2):
            held = await ledger.reserve(house.order(prompt=0, wanted=0))
            assert (held.amount, held.max_tokens) == (0, 0)
            await ledger.settle(held.id, used(0, 0), "stop")
        with pytest.raises(RateLimited):
            await ledger.reserve(house.order(prompt=0, wanted=0))

    play(house, scene)


def test_a_charge_spans_grants_by_priority_then_expiry_then_age(house: House, clock: Clock) -> None:
    house.grant(10, id="late", days=300)
    clock.at += 1
    house.grant(10, id="soon", days=30)
    house.grant(10, id="first", days=900, priority=-1)
    house.grant(10, id="never", expires_at=float(2**40))

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=0, wanted=25))
        left = {grant.id: grant.remaining for grant in (await ledger.credits(house.account)).grants}
        assert left == {"late": 5, "never": 10}
        charge = await ledger.settle(held.id, used(0, 12), "stop")
        assert charge.cost == 12
        left = {grant.id: grant.remaining for grant in (await ledger.credits(house.account)).grants}
        assert left == {"soon": 8, "late": 10, "never": 10}

    play(house, scene)


def test_a_scoped_grant_pays_only_for_its_scope(house: House) -> None:
    house.grant(100, scope="gpu:a100")

    async def scene(ledger: Ledger) -> None:
        with pytest.raises(InsufficientCredits):
            await ledger.reserve(house.order())
        held = await ledger.reserve(house.order(scope="gpu:a100"))
        await ledger.settle(held.id, used(), "stop")

    play(house, scene)


def test_refusals_before_money(house: House, clock: Clock) -> None:
    house.grant(1000)
    house.add_key("of another", house.account)
    house.add_account("another")

    async def scene(ledger: Ledger) -> None:
        with pytest.raises(ModelNotFound):
            await ledger.reserve(house.order(model="unpriced"))
        with pytest.raises(NotAuthorised):
            await ledger.reserve(house.order(key="no such key"))
        with pytest.raises(NotAuthorised):
            await ledger.reserve(house.order(account="another"))
        with pytest.raises(NotAuthorised):
            await ledger.reserve(house.order(account="' OR 1=1 --"))
        house.change_key(models='["other"]')
        with pytest.raises(NotAllowed):
            await ledger.reserve(house.order())
        house.change_key(models="[]", paused=True)
        assert (await ledger.key(house.key)).paused  # type: ignore[union-attr]
        with pytest.raises(NotAllowed):
            await ledger.reserve(house.order())
        house.change_key(paused=False, expires_at=clock.at)
        with pytest.raises(NotAuthorised):
            await ledger.reserve(house.order())
        house.change_key(expires_at=clock.at + 1)
        held = await ledger.reserve(house.order())
        house.change_key(revoked_at=clock.at)
        assert (await ledger.key(house.key)).revoked  # type: ignore[union-attr]
        with pytest.raises(NotAuthorised):
            await ledger.reserve(house.order())
        assert (await ledger.settle(held.id, used(), "stop")).cost == 20  # what runs is still charged

    play(house, scene)


def test_a_price_of_every_model_and_a_price_that_begins_later(house: House, clock: Clock) -> None:
    house.grant(1000)
    star = house.set_price(model="*", output=2 * EURO)
    clock.at += 100
    later = house.set_price(output=3 * EURO)
    clock.at -= 50

    async def scene(ledger: Ledger) -> None:
        assert (await ledger.reserve(house.order(model="anything"))).price.id == star
        now = await ledger.reserve(house.order())
        assert now.price.output == EURO
        clock.at += 50
        assert (await ledger.reserve(house.order())).price.id == later
        assert (await ledger.settle(now.id, used(), "stop")).cost == 20  # by the price that it was admitted at

    play(house, scene)
    assert check(house.url) == []


def test_no_more_requests_in_any_minute(house: House, clock: Clock) -> None:
    house.grant(EURO)
    house.change_key(requests_per_minute=3)
    admitted: list[float] = []

    async def scene(ledger: Ledger) -> None:
        for _ in range(400):
            try:
                held = await ledger.reserve(house.order())
            except RateLimited as refusal:
                assert refusal.retry_after is not None
                assert 0 < refusal.retry_after <= 61
                clock.at += 0.7
            else:
                admitted.append(clock.at)
                await ledger.settle(held.id, used(), "stop")
        clock.at += 61
        for _ in range(3):
            await ledger.reserve(house.order())
        with pytest.raises(RateLimited) as refusal:
            await ledger.reserve(house.order())
        clock.at += refusal.value.retry_after or 0
        await ledger.reserve(house.order())

    play(house, scene)
    assert len(admitted) > 9
    for at in admitted:
        assert sum(at <= other < at + 60 for other in admitted) <= 3


def test_tokens_per_minute_count_what_was_used(house: House, clock: Clock) -> None:
    house.grant(EURO)
    house.change_key(tokens_per_minute=1000)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=300, wanted=600))
        with pytest.raises(RateLimited) as refusal:
            await ledger.reserve(house.order(prompt=60, wanted=60))
        assert refusal.value.retry_after is not None
        await ledger.settle(held.id, used(300, 100), "stop")
        open_one = await ledger.reserve(house.order(prompt=100, wanted=None, context_left=4096))
        assert (open_one.max_tokens, open_one.clamped) == (500, True)
        with pytest.raises(RateLimited):
            await ledger.reserve(house.order(prompt=0, wanted=1))
        with pytest.raises(RateLimited) as refusal:
            await ledger.reserve(house.order(prompt=1001, wanted=0))  # never fits
        assert refusal.value.retry_after is None
        assert (await ledger.key_state(house.key)).minute_tokens == 1000
        clock.at += 61
        await ledger.reserve(house.order(prompt=500, wanted=500))

    play(house, scene)


def test_so_many_at_once(house: House) -> None:
    house.grant(EURO)
    house.change_key(concurrent=2)

    async def scene(ledger: Ledger) -> None:
        results = await asyncio.gather(*[ledger.reserve(house.order()) for _ in range(9)], return_exceptions=True)
        held = [result for result in results if not isinstance(result, BaseException)]
        assert len(held) == 2
        assert all(isinstance(result, RateLimited) for result in results if isinstance(result, BaseException))
        await ledger.release(held[0].id, "done")
        await ledger.reserve(house.order())
        assert (await ledger.key_state(house.key)).running == 2

    play(house, scene)


def test_so_many_at_once_of_all_keys_of_an_account(house: House) -> None:
    house.grant(EURO)
    house.add_key("second key", house.account)

    async def scene(ledger: Ledger) -> None:
        orders = [house.order(key=key, account_concurrent=3) for key in (house.key, "second key") for _ in range(4)]
        results = await asyncio.gather(*[ledger.reserve(order) for order in orders], return_exceptions=True)
        held = [result for result in results if not isinstance(result, BaseException)]
        assert len(held) == 3
        with pytest.raises(RateLimited):
            await ledger.reserve(house.order(account_concurrent=3))
        await ledger.settle(held[0].id, used(), "stop")
        await ledger.reserve(house.order(account_concurrent=3))

    play(house, scene)


def test_budgets_of_the_day_and_the_month(house: House, clock: Clock) -> None:
    house.grant(EURO)
    house.change_key(budget_day=100, budget_month=250)

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(house.order(prompt=40, wanted=60))
        with pytest.raises(BudgetExceeded) as refusal:
            await ledger.reserve(house.order(prompt=1, wanted=None))
        assert (refusal.value.limit_source, refusal.value.balance, refusal.value.affordable_max_tokens) == (
            "key_limit",
            0,
            0,
        )
        await ledger.settle(held.id, used(40, 10), "stop")
        held = await ledger.reserve(house.order(prompt=10, wanted=None, context_left=999))
        assert (held.max_tokens, held.clamped) == (40, True)
        await ledger.settle(held.id, used(10, 40), "length")
        for spent in (100, 50):
            clock.at += 86400
            with pytest.raises(BudgetExceeded) as refusal:
                await ledger.reserve(house.order(prompt=0, wanted=1000))
            assert refusal.value.affordable_max_tokens == spent
            held = await ledger.reserve(house.order(prompt=0, wanted=None))
            await ledger.settle(held.id, used(0, spent), "length")
        state = await ledger.key_state(house.key)
        assert (state.day_spent, state.month_spent, state.total_spent) == (50, 250, 250)
        clock.at += 31 * 86400
        await ledger.settle((await ledger.reserve(house.order(prompt=0, wanted=100))).id, used(0, 7), "stop")
        state = await ledger.key_state(house.key)
        assert (state.day_spent, state.month_spent, state.total_spent) == (7, 7, 257)

    play(house, scene)


def test_a_reservation_over_midnight_belongs_to_the_day_it_began(house: House, clock: Clock) -> None:
    house.grant(EURO)
    clock.at = (clock.at // 86400 + 1) * 86400 - 1

    async def scene(ledger: Ledger) -> None:
        before = await ledger.reserve(house.order())
        clock.at += 2
        after = await ledger.reserve(house.order())
        assert (await ledger.key_state(house.key)).day_spent == 20
        await ledger.settle(before.id, used(10, 1), "stop")
        assert (await ledger.key_state(house.key)).day_spent == 20
        await ledger.settle(after.id, used(10, 1), "stop")
        assert (await ledger.key_state(house.key)).day_spent == 11

    play(house, scene)


def test_an_idempotency_key_admits_once(house: House, clock: Clock) -> None:
    house.grant(EURO)
    house.add_account("another")
    house.add_key("key of another", "another")
    order = house.order(idempotency=("once", b"body"))

    async def refused(ledger: Ledger, **more: Any) -> str:
        with pytest.raises(RequestError) as refusal:
            await ledger.reserve(house.order(idempotency=("once", more.pop("digest", b"body"))))
        assert refusal.value.status == 409
        return refusal.value.code

    async def scene(ledger: Ledger) -> None:
        held = await ledger.reserve(order)
        assert await refused(ledger) == "idempotency_in_progress"
        assert await refused(ledger, digest=b"another") == "idempotency_conflict"
        await ledger.release(held.id, "the upstream failed")
        held = await ledger.reserve(order)
        await ledger.settle(held.id, used(), "stop")
        assert await ledger.answer(house.account, "once") is None
        assert await refused(ledger) == "idempotency_answer_lost"
        await ledger.keep_answer(house.account, "once", b"body", 200, "application/json", b'{"a": 1}')
        kept = await ledger.answer(house.account, "once")
        assert kept is not None
        assert (kept.digest, kept.status, kept.media, kept.body) == (b"body", 200, "application/json", b'{"a": 1}')
        assert await refused(ledger) == "idempotency_answered"
        assert await ledger.answer("another", "once") is None
        clock.at += 86400
        assert await ledger.answer(house.account, "once") is None
        await ledger.reserve(order)
        with pytest.raises(RequestError, match="not kept"):
            await ledger.keep_answer(house.account, "once", b"body", 200, "text/plain", bytes(5 * 2**20))
        clock.at += 86400
        await ledger.sweep()

    play(house, scene)


def test_a_lease_that_nobody_renews_ends_by_its_checkpoint(house: House, clock: Clock) -> None:
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        seen = await ledger.reserve(house.order(prompt=10, wanted=100))
        unseen = await ledger.reserve(house.order(prompt=10, wanted=100))
        alive = await ledger.reserve(house.order(prompt=10, wanted=100))
        clock.at += 20
        await ledger.renew({seen.id: used(10, 33), alive.id: used(10, 1), 999: used()}, 30)
        await ledger.renew({seen.id: None}, 30)
        assert await ledger.sweep() == 0
        clock.at += 10
        assert await ledger.sweep() == 1
        clock.at += 20
        await ledger.renew({alive.id: used(10, 2)}, 30)
        assert await ledger.sweep() == 1
        charge = await ledger.settle(seen.id, used(10, 40), "too late")
        assert (charge.cost, charge.again, charge.usage.partial) == (43, True, True)
        assert (await ledger.settle(unseen.id, used(10, 40), "too late")).cost == 0
        assert (await ledger.settle(alive.id, used(10, 3), "stop")).cost == 13
        assert (await ledger.credits(house.account)).reserved == 0

    play(house, scene)


def test_what_nobody_reserved_cannot_be_settled(house: House) -> None:
    async def scene(ledger: Ledger) -> None:
        with pytest.raises(RequestError) as refusal:
            await ledger.settle(4711, used(), "stop")
        assert refusal.value.code == "unknown_reservation"
        with pytest.raises(BadRequest):
            await ledger.credits("nobody")
        with pytest.raises(BadRequest):
            await ledger.key_state("nobody")
        assert await ledger.key("nobody") is None

    play(house, scene)


def test_usage_by_day_model_and_key_and_to_the_second(house: House, clock: Clock) -> None:
    house.grant(EURO)
    house.set_price(model="other")
    clock.at = (clock.at // 86400 + 1) * 86400 + 100.5
    start = clock.at

    async def scene(ledger: Ledger) -> None:
        for model in ("demo", "other", "demo"):
            held = await ledger.reserve(house.order(model=model))
            await ledger.settle(held.id, used(10, 5, cached=4), "stop")
            clock.at += 43200
        await ledger.release((await ledger.reserve(house.order())).id, "counts nowhere")
        day = (start // 86400) * 86400
        rows = await ledger.usage(house.account, day, day + 2 * 86400, "day")
        assert [(row.group, row.requests, row.cost) for row in rows] == [("2027-01-16", 2, 30), ("2027-01-17", 1, 15)]
        rows = await ledger.usage(house.account, day, day + 86400, "model")
        assert [(row.group, row.prompt_tokens, row.cached_tokens, row.output_tokens) for row in rows] == [
            ("demo", 10, 4, 5),
            ("other", 10, 4, 5),
        ]
        rows = await ledger.usage(house.account, start, start + 43200, "key")
        assert [(row.group, row.requests, row.cost) for row in rows] == [(house.key, 1, 15)]
        rows = await ledger.usage(house.account, start, start + 86401, "day")
        assert [(row.group, row.requests) for row in rows] == [("2027-01-16", 2), ("2027-01-17", 1)]
        assert await ledger.usage("another", 0, 1e10, "day") == []
        with pytest.raises(BadRequest):
            await ledger.usage(house.account, 0, 1e10, "x; DROP TABLE journal")  # type: ignore[arg-type]

    play(house, scene)


def test_what_the_engines_counted_is_compared_with_what_was_settled(house: House, clock: Clock) -> None:
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        async def counted(number: int, held: Reservation, *counts: int, outcome: str = "stop") -> set[str]:
            await ledger.count_engine("w1", [EngineCount(number, held.id, held.request_id, *counts, outcome)])
            return {finding.rule for finding in check(house.url)}

        right = await ledger.reserve(house.order())
        assert await counted(1, right, 10, 7) == set(), "it runs: the gateway has not settled yet"
        await ledger.settle(right.id, used(10, 7), "stop")
        assert check(house.url) == []
        assert await counted(1, right, 10, 9) == set(), "the same one again changes nothing"

        partial = await ledger.reserve(house.order())
        await ledger.renew({partial.id: used(10, 3)}, 1)
        clock.at += 10
        assert await ledger.sweep() == 1
        assert await counted(2, partial, 10, 8) == set(), "its gateway was killed: it was settled by a checkpoint"
        given_back = await ledger.reserve(house.order())
        await ledger.release(given_back.id, "no answer")
        assert await counted(3, given_back, 10, 8) == set()
        moved = await ledger.reserve(house.order())
        await ledger.settle(moved.id, used(10, 2), f"stop; {ELSEWHERE}")
        assert await counted(4, moved, 10, 5) == set(), "another server answered it"
        failed = await ledger.reserve(house.order())
        await ledger.settle(failed.id, used(10, 2), "stop")
        assert await counted(5, failed, 10, 5, outcome="engine_failed") == set()

        less = await ledger.reserve(house.order())
        await ledger.settle(less.id, used(10, 6), "stop")
        assert await counted(6, less, 10, 9) == {"engine_tokens"}
        [finding] = check(house.url)
        assert (finding.subject, finding.found, finding.expected) == (str(less.id), "10 6", "10 9")
        clock.at += 8 * 86400 + 1
        assert await counted(7, right, 10, 7) == set(), "it is kept for eight days"
        with pytest.raises(BadRequest):
            await ledger.count_engine("w\0", [])

    play(house, scene)


def test_the_warnings_of_an_account(house: House, clock: Clock) -> None:
    house.grant(100, days=30)
    with house.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE accounts SET warn_at = '[100, 50]'")

    async def scene(ledger: Ledger) -> None:
        assert (await ledger.credits(house.account)).warnings == ()
        held = await ledger.reserve(house.order(prompt=0, wanted=1))
        assert (await ledger.credits(house.account)).warnings == ("balance_low",)
        await ledger.release(held.id, "no need")
        clock.at += 17 * 86400
        assert (await ledger.credits(house.account)).warnings == ("grant_expires_soon",)

    play(house, scene)
