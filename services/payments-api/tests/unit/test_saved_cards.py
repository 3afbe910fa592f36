"""When a stored payment is charged, and by which names things are made at Stripe once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from payments_api.application.saved_cards import SavedCard, SavedCards, SavingBegun, StoredPayment, UnknownCustomer
from payments_api.domain.payment import STATUSES

pytestmark = pytest.mark.asyncio


class Vault:
    """Keeps customers by the key that they were made under; ``deleted`` are those that it no longer knows."""

    def __init__(self) -> None:
        self.customers: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.setups: list[tuple[str, str]] = []
        self.charged: list[tuple[str, str]] = []

    async def close(self) -> None: ...

    async def make_customer(self, user_id: str, key: str) -> str:
        return self.customers.setdefault(key, f"cus_{len(self.customers)}")

    async def begin_saving(self, customer_id: str, user_id: str, key: str) -> SavingBegun:
        if customer_id in self.deleted:
            raise UnknownCustomer(customer_id)
        self.setups.append((customer_id, key))
        return SavingBegun("seti_1", "secret", None)

    async def cards(self, customer_id: str) -> Sequence[SavedCard]:
        return ()

    async def card(self, customer_id: str, card_id: str) -> SavedCard | None:
        return None

    async def forget(self, card_id: str) -> None: ...

    async def charge(self, payment_id: str, gateway_payment_id: str) -> None:
        self.charged.append((payment_id, gateway_payment_id))


class Customers:
    """In memory; ``latecomer`` is what another request notes first."""

    def __init__(self, latecomer: str | None = None) -> None:
        self.known: dict[str, str] = {}
        self.latecomer = latecomer

    async def find(self, user_id: str) -> str | None:
        return self.known.get(user_id)

    async def keep(self, user_id: str, customer_id: str, *, instead_of: str | None) -> str:
        if self.latecomer is not None:
            self.known.setdefault(user_id, self.latecomer)
        if self.known.get(user_id) in (None, instead_of):
            self.known[user_id] = customer_id
        return self.known[user_id]


def saved_cards(vault: Vault, customers: Customers | None = None) -> tuple[SavedCards, ManualClock]:
    clock = ManualClock()
    return SavedCards(vault, customers or Customers(), clock, SequenceIds()), clock


@pytest.mark.parametrize("status", STATUSES)
async def test_only_what_may_not_have_been_charged_yet_is(status: str) -> None:
    vault = Vault()
    cards, clock = saved_cards(vault)
    payment = StoredPayment("p-1", "pi_1", status, clock.now() + timedelta(seconds=1))
    is_chargeable = status in ("initiated", "failed")
    assert await cards.charge(payment) is is_chargeable
    assert vault.charged == ([("p-1", "pi_1")] if is_chargeable else [])


@pytest.mark.parametrize(("left_s", "is_charged"), [(1, True), (0, False), (-1, False)])
async def test_nothing_is_charged_after_the_quote_ended(left_s: int, is_charged: bool) -> None:
    vault = Vault()
    cards, clock = saved_cards(vault)
    payment = StoredPayment("p-1", "pi_1", "initiated", clock.now() + timedelta(seconds=left_s))
    assert await cards.charge(payment) is is_charged
    assert bool(vault.charged) is is_charged


async def test_a_customer_is_made_by_the_persons_name() -> None:
    vault = Vault()
    cards, _ = saved_cards(vault)
    assert [await cards.customer_of(user) for user in ("alice", "bob", "alice")] == ["cus_0", "cus_1", "cus_0"]
    assert list(vault.customers) == ["customer:alice", "customer:bob"]


async def test_who_was_first_to_note_a_customer_wins() -> None:
    vault = Vault()
    cards, _ = saved_cards(vault, Customers(latecomer="cus_theirs"))
    await cards.begin_saving("alice", "k-1")
    assert [customer for customer, _ in vault.setups] == ["cus_theirs"]


async def test_a_deleted_customer_is_replaced_under_another_name() -> None:
    vault = Vault()
    cards, _ = saved_cards(vault)
    await cards.begin_saving("alice", "k-1")
    vault.deleted.add("cus_0")
    await cards.begin_saving("alice", "k-1")
    assert list(vault.customers) == ["customer:alice", "customer:alice:after:cus_0"]
    assert [customer for customer, _ in vault.setups] == ["cus_0", "cus_1"]


async def test_a_request_has_one_form_by_its_key() -> None:
    vault = Vault()
    cards, _ = saved_cards(vault)
    for key in ("k-1", "k-1", "k-2", None, None):
        await cards.begin_saving("alice", key)
    first, again, *others = [key for _, key in vault.setups]
    assert (first, len({first, *others})) == (again, 4)
