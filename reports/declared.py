"""What was declared before a comparison ran, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports import text


def endpoint(rule: str, metric: str, time: str, beside: str) -> str:
    """What the statements are about; beside: what was declared to stand beside it, nothing where that is empty."""
    also = f"; beside it the {beside} of the same config, on test where there is a test metric" if beside else ""
    return (
        f"Declared before the studies ran: the {metric} of the incumbent (rule {rule}) at the {time}, its loss where "
        f"no best is known{also}. All else that is shown, other times and rules, observed test values, ranks, is "
        "exploratory."
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
