"""What the simulated Stripe remembers, in memory: its objects by id, its events, and answers by idempotency key.

Objects are plain dicts in the shape of the pinned API version. Holds no rule of how they change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from chassis.clock import Clock
from chassis.ids import IdFactory

API_VERSION = "2026-10-28.endive"
PAGE_DEFAULT_ROWS = 10
PAGE_MAX_ROWS = 100
KINDS = {
    "payment_intent": "pi_",
    "checkout.session": "cs_test_",
    "charge": "ch_",
    "refund": "re_",
    "dispute": "du_",
    "balance_transaction": "txn_",
    "event": "evt_",
    "customer": "cus_",
    "payment_method": "pm_",
    "setup_intent": "seti_",
    "subscription": "sub_",
    "invoice": "in_",
    "invoice_payment": "inpay_",
}
_EXPANDABLE = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "balance_transaction": "balance_transaction",
}


class StripeStore:
    """Use ``make`` for what is new; what is read of it may be changed in place."""

    def __init__(self, clock: Clock, ids: IdFactory) -> None:
        self._clock = clock
        self._ids = ids
        self._objects: dict[str, dict[str, dict[str, Any]]] = {kind: {} for kind in KINDS}
        self.answers: dict[str, tuple[str, int, bytes]] = {}

    def now_s(self) -> int:
        """Seconds since 1970."""
        return int(self._clock.now().timestamp())

    def make(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A new object of that kind, kept."""
        made: dict[str, Any] = {
            "id": KINDS[kind] + self._ids.new().hex,
            "object": kind,
            "created": self.now_s(),
            "livemode": False,
        }
        made |= fields
        self._objects[kind][made["id"]] = made
        return made

    def find(self, kind: str, object_id: Any) -> dict[str, Any] | None:
        """The object itself."""
        return self._objects[kind].get(object_id) if isinstance(object_id, str) else None

    def all(self, kind: str) -> Iterable[dict[str, Any]]:
        """All of a kind, oldest first."""
        return list(self._objects[kind].values())

    def where(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """Those whose fields are these, oldest first."""
        return [each for each in self.all(kind) if all(each.get(name) == value for name, value in fields.items())]

    def page(self, kind: str, query: Mapping[str, Any]) -> dict[str, Any]:
        """Stripe's list: newest first, by ``limit``, ``starting_after``, ``created[gte]`` and fields of the object."""
        rows = [each for each in reversed(list(self.all(kind))) if _is_asked_for(each, query)]
        after = query.get("starting_after")
        if after is not None:
            ids = [each["id"] for each in rows]
            rows = rows[ids.index(after) + 1 :] if after in ids else []
        limit = min(int(query.get("limit", PAGE_DEFAULT_ROWS)), PAGE_MAX_ROWS)
        data = [deepcopy(each) for each in rows[:limit]]
        return {"object": "list", "data": data, "has_more": len(rows) > limit, "url": "/v1/list"}

    def expanded(self, answer: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
        """A copy in which the related objects named by ``paths`` stand whole."""
        whole = deepcopy(dict(answer))
        for path in paths:
            self._expand(whole, path.split("."))
        return whole

    def _expand(self, value: Any, path: list[str]) -> None:
        if not path:
            return
        field, *rest = path
        if isinstance(value, list):
            for each in value:
                self._expand(each, path)
            return
        if not isinstance(value, dict) or field not in value:
            return
        related = self.find(_EXPANDABLE[field], value[field]) if field in _EXPANDABLE else None
        if related is not None:
            value[field] = deepcopy(related)
        self._expand(value[field], rest)


FILTERS = ("payment_intent", "charge", "customer", "invoice", "type", "source", "status")


def _is_asked_for(row: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    if any(name in query and row.get(name) != query[name] for name in FILTERS):
        return False
    types = query.get("types")
    if types and row.get("type") not in types:
        return False
    if "delivery_success" in query and row.get("_delivered") is not (query["delivery_success"] == "true"):
        return False
    return _in_time(row["created"], query.get("created"))


def _in_time(created: int, bounds: Any) -> bool:
    if not isinstance(bounds, dict):
        return bounds is None or created == int(bounds)
    tests = {"gte": created.__ge__, "gt": created.__gt__, "lte": created.__le__, "lt": created.__lt__}
    return all(tests[name](int(bound)) for name, bound in bounds.items() if name in tests)
