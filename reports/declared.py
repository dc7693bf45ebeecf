"""What was declared before a comparison ran, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports import text


def endpoint(rule: str, metric: str, time: str, beside: str, together: str = "") -> str:
    """What the statements are about.

    beside: what was declared to stand beside it, nothing where that is empty; together: what is compared over several
    benchmarks, empty where there is one, or where nothing was declared for several.
    """
    held, on_test = f"the {metric} of the incumbent (rule {rule})", "on test where there is a test metric"
    if together:
        also = f"; beside it that of the {beside}, {on_test}" if beside else ""
        return (
            f"Declared before the studies ran: over benchmarks, the {together} of {held}{also}. All else that is "
            "shown, single benchmarks, other times and rules, ranks, is exploratory."
        )
    also = f"; beside it the {beside} of the same config, {on_test}" if beside else ""
    return (
        f"Declared before the studies ran: {held} at the {time}, its loss where no best is known{also}. All else that "
        "is shown, other times and rules, observed test values, ranks, is exploratory."
    )


def looks(width: float, planned: Sequence[int], taken: Sequence[Mapping[str, Any]]) -> str:
    """How many seeds there are, and why.

    width: what was asked for; planned: how many seeds there should be at each look; taken: as `contrasts.look` gives
    them.
    """
    begin = (
        f"Declared: seeds are added, at {', '.join(map(str, planned))}, until every contrast is known to "
        f"±{text.number(width)}, by intervals that hold at all looks together; who leads plays no part."
    )
    widest = {one["seeds"]: max(half for *_, half in one["half_widths"]) for one in taken if one["half_widths"]}
    if widest:
        seen = (f"±{text.number(half)} with {text.plural(seeds, 'seed')}" for seeds, half in widest.items())
        begin += f" The widest: {', '.join(seen)}."
    if not taken:
        return f"{begin} Nobody has looked yet."
    last = taken[-1]
    if last["enough"] is None:
        return f"{begin} With {text.plural(last['seeds'], 'seed')} it cannot be said: {last['error']}."
    if last["enough"]:
        return f"{begin} That is enough."
    more = ", and no more are planned" if last["seeds"] == planned[-1] else ""
    return f"{begin} That is wider than asked for{more}."
