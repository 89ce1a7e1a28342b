"""Fair queue: one turn per event-loop iteration."""

from __future__ import annotations

import asyncio

from wsbench.targets.echo.fair_queue import FairQueue


def test_one_turn_a_round_in_the_order_in_which_they_were_asked_for() -> None:
    async def rounds() -> list[str]:
        turns, seen, left = FairQueue(), [], {"a": 3, "b": 2}

        def turn(name: str) -> None:
            seen.append(name)
            left[name] -= 1
            if left[name]:
                turns.append(lambda: turn(name))

        for name in left:
            turns.append(lambda name=name: turn(name))  # type: ignore[misc]
        for _ in range(8):
            seen.append("|")
            await asyncio.sleep(0)
        return seen

    told = "".join(asyncio.run(rounds()))
    assert told.strip("|") == "a|b|a|b|a"


def test_a_turn_that_fails_does_not_take_the_others_turns() -> None:
    async def rounds() -> list[str]:
        seen: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: seen.append(str(context["exception"])))
        turns = FairQueue()
        turns.append(lambda: seen.remove(""))
        turns.append(lambda: seen.append("next"))
        for _ in range(4):
            await asyncio.sleep(0)
        turns.append(lambda: seen.append("later"))
        await asyncio.sleep(0.01)
        return seen

    assert asyncio.run(rounds()) == ["list.remove(x): x not in list", "next", "later"]
