"""The simulated ClickPesa over HTTP, with somebody who hears its webhooks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request
from starlette.responses import Response

from chassis.clock import ManualClock
from chassis.ids import SequenceIds
from embedded.gateway_simulators.clickpesa.app import create_clickpesa_simulator
from embedded.gateway_simulators.clickpesa.checksum import Method, checksum
from embedded.gateway_simulators.clickpesa.webhooks import HEADER, PATH, ClickPesaWebhooks

pytestmark = pytest.mark.asyncio
KEY = b"CHKtestsecret"
CLIENT = {"client-id": "client", "api-key": "verysecret"}
ASKED = {"totalPrice": "10000", "orderReference": "REF1", "orderCurrency": "TZS", "customerEmail": "a@example.com"}
MAKE_LINK = "/checkout-link/generate-checkout-url"


class ClickPesa:
    """The simulator, and the shop's ear: it answers with ``statuses`` in turn, then 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.heard: list[tuple[str | None, bytes]] = []
        self.clock = ManualClock()
        ear = FastAPI()

        @ear.post(PATH)
        async def hear(request: Request) -> Response:
            self.heard.append((request.headers.get(HEADER), await request.body()))
            return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

        self.webhooks = ClickPesaWebhooks("http://ear", KEY, pause_s=0.001, transport=httpx.ASGITransport(ear))
        keys = {CLIENT["client-id"]: CLIENT["api-key"]}
        base = "http://clickpesa.local/clickpesa/"
        app = create_clickpesa_simulator(self.webhooks, self.clock, SequenceIds(), base, keys=keys)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://clickpesa")

    async def sign_in(self) -> None:
        answer = await self.http.post("/generate-token", headers=CLIENT)
        assert answer.status_code == 200, answer.text
        self.http.headers["authorization"] = answer.json()["token"]

    async def ask_for_link(self, method: Method = "canonical", **changed: Any) -> httpx.Response:
        asked = {name: value for name, value in (ASKED | changed).items() if value is not None}
        if method == "legacy":
            asked["checksumMethod"] = method
        return await self.http.post(MAKE_LINK, json=asked | {"checksum": checksum(asked, KEY, method)})

    async def simulate(self, path: str, expected: int = 200, /, **body: Any) -> Any:
        answer = await self.http.post(f"/simulate/{path}", json=body)
        assert answer.status_code == expected, answer.text
        await self.webhooks.drained()
        return answer.json()

    async def rows(self, reference: str = "REF1") -> list[Any]:
        answer = await self.http.get(f"/payments/{reference}")
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    @property
    def told(self) -> list[Any]:
        return [json.loads(body) for _, body in self.heard]


@pytest_asyncio.fixture
async def clickpesa() -> AsyncIterator[ClickPesa]:
    simulated = ClickPesa()
    async with simulated.http:
        await simulated.sign_in()
        yield simulated
    await simulated.webhooks.close()


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["message"]


async def test_a_person_pays_on_the_page_of_a_link(clickpesa: ClickPesa) -> None:
    made = await clickpesa.ask_for_link()
    assert made.json() == {"checkoutLink": "http://clickpesa.local/clickpesa/pay/REF1", "clientId": "simulated"}
    page = await clickpesa.http.get("/pay/REF1")
    assert (page.status_code, "10000 TZS" in page.text, "REF1" in page.text) == (200, True, True)
    assert said(await clickpesa.http.get("/payments/REF1")) == (404, "Invalid or missing payment: REF1")
    assert "SUCCESS" in (await clickpesa.http.post("/pay/REF1", data={"action": "pay"})).text
    [row], [event] = await clickpesa.rows(), clickpesa.told
    assert (row["status"], row["collectedAmount"], row["collectedCurrency"]) == ("SUCCESS", 10_000, "TZS")
    assert (event["event"], event["data"]["id"], event["data"]["collectedAmount"]) == (
        "PAYMENT RECEIVED",
        row["id"],
        "10000",
    )
    assert event["data"]["customer"]["customerEmail"] == "a@example.com"
    assert event["checksum"] == checksum(event, KEY)


async def test_a_page_that_nobody_asked_for(clickpesa: ClickPesa) -> None:
    assert (await clickpesa.http.get("/pay/NOBODYS")).status_code == 404
    assert (await clickpesa.http.post("/pay/NOBODYS", data={"action": "pay"})).status_code == 404
    assert clickpesa.heard == []


async def test_who_may_ask(clickpesa: ClickPesa) -> None:
    wrong: list[tuple[dict[str, str], tuple[int, str]]] = [
        ({}, (401, "Unauthorized")),
        ({**CLIENT, "client-id": "other"}, (403, "Invalid client details")),
        ({**CLIENT, "api-key": "other"}, (403, "Invalid or Expired API-Key")),
    ]
    for headers, refused in wrong:
        assert said(await clickpesa.http.post("/generate-token", headers=headers)) == refused
    token = clickpesa.http.headers.pop("authorization")
    assert token.startswith("Bearer ")
    assert said(await clickpesa.ask_for_link()) == (401, "Unauthorized")
    for age_s, status in ((3599, 200), (1, 401)):
        clickpesa.clock.advance(age_s)
        answer = await clickpesa.http.get("/exchange-rates/all", headers={"authorization": token})
        assert answer.status_code == status
    await clickpesa.sign_in()
    await clickpesa.simulate("tokens/forget")
    assert (await clickpesa.ask_for_link()).status_code == 401


@pytest.mark.parametrize("method", ["canonical", "legacy"])
async def test_requests_are_checked(clickpesa: ClickPesa, method: Method) -> None:
    assert (await clickpesa.ask_for_link(method, description="Müller & <c>")).status_code == 200
    signed = {**ASKED, "orderReference": "REF2"}
    signed["checksum"] = checksum(signed, KEY)
    for changed in ({"totalPrice": "1"}, {"checksum": "0" * 64}, {"checksum": None}):
        assert said(await clickpesa.http.post(MAKE_LINK, json=signed | changed)) == (400, "Invalid checksum")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"totalPrice": None}, "Total Price is required"),
        ({"orderReference": None}, "Order reference is required"),
        (
            {"orderReference": "REF-1"},
            "Invalid Order Reference, should only contain alphanumeric characters and cannot be blank",
        ),
        ({"totalPrice": 10_000}, "totalPrice must be a number string"),
        ({"orderCurrency": "KES"}, "orderCurrency must be one of the following values: TZS, USD"),
    ],
)
async def test_links_that_are_refused(clickpesa: ClickPesa, changed: dict[str, Any], message: str) -> None:
    assert said(await clickpesa.ask_for_link(**changed)) == (400, message)


async def test_a_reference_is_used_once(clickpesa: ClickPesa) -> None:
    assert (await clickpesa.ask_for_link()).status_code == 200
    message = "Order reference REF1 already used: Create a different reference"
    assert said(await clickpesa.ask_for_link()) == (409, message)


async def test_what_comes_after_a_payment_is_seen_by_asking_only(clickpesa: ClickPesa) -> None:
    await clickpesa.ask_for_link()
    await clickpesa.simulate("payments/REF1", 404, action="settle")
    assert (await clickpesa.simulate("payments/REF1", action="hold"))["status"] == "ON-HOLD"
    assert clickpesa.heard == []
    paid = await clickpesa.simulate("payments/REF1", action="pay", amount="9000", currency="USD")
    for action, status in (("settle", "SETTLED"), ("reverse", "REVERSED")):
        await clickpesa.simulate("payments/REF1", action=action)
        [row] = await clickpesa.rows()
        assert (row["id"], row["status"]) == (paid["id"], status)
        assert (row["collectedAmount"], row["collectedCurrency"]) == (9000, "USD")
    assert len(clickpesa.heard) == 1


async def test_each_attempt_is_a_row_and_old_webhooks_look_old(clickpesa: ClickPesa) -> None:
    await clickpesa.ask_for_link()
    await clickpesa.simulate("webhooks", shape="old", place="header")
    await clickpesa.simulate("payments/REF1", action="fail", message="No money")
    await clickpesa.simulate("payments/REF1", action="pay")
    failed, paid = clickpesa.told
    assert [row["id"] for row in await clickpesa.rows()] == [failed["data"]["paymentId"], paid["data"]["paymentId"]]
    assert (failed["eventType"], failed["data"]["message"]) == ("PAYMENT FAILED", "No money")
    assert (paid["data"]["amount"], paid["data"]["currency"]) == ("10000", "TZS")
    assert [header for header, _ in clickpesa.heard] == [checksum(failed, KEY), checksum(paid, KEY)]


async def test_webhooks_come_again_kept_back_in_copies_or_not_at_all(clickpesa: ClickPesa) -> None:
    await clickpesa.ask_for_link()
    clickpesa.statuses = [503, 503]
    await clickpesa.simulate("payments/REF1", action="fail")
    assert len(clickpesa.heard) == 3
    await clickpesa.simulate("webhooks", mode="lose")
    await clickpesa.simulate("payments/REF1", action="fail")
    assert len(clickpesa.heard) == 3
    await clickpesa.simulate("webhooks", mode="hold", copies=2)
    await clickpesa.simulate("payments/REF1", action="fail")
    await clickpesa.simulate("payments/REF1", action="pay")
    assert len(clickpesa.heard) == 3
    assert await clickpesa.simulate("webhooks/release", reversed=True) == {"sent": 2}
    events = [event["event"] for event in clickpesa.told[3:]]
    assert events == ["PAYMENT RECEIVED"] * 2 + ["PAYMENT FAILED"] * 2


async def test_the_list_is_paged_and_filtered(clickpesa: ClickPesa) -> None:
    await clickpesa.simulate("webhooks", mode="lose")
    for number in range(23):
        await clickpesa.ask_for_link(orderReference=f"R{number}")
        await clickpesa.simulate(f"payments/R{number}", action="pay" if number % 2 else "fail")
        clickpesa.clock.advance(7200)
        await clickpesa.sign_in()
    first_day = (await clickpesa.rows("R0"))[0]["createdAt"][:10]

    async def listed(**query: str) -> tuple[list[str], int]:
        page = (await clickpesa.http.get("/payments/all", params=query)).json()
        return [row["orderReference"] for row in page["data"]], page["totalCount"]

    assert await listed() == ([f"R{number}" for number in range(22, 2, -1)], 23)
    assert await listed(orderBy="ASC", skip="20") == (["R20", "R21", "R22"], 23)
    assert await listed(status="SUCCESS", limit="1") == (["R21"], 11)
    references, total = await listed(startDate=first_day, endDate=first_day, orderBy="ASC")
    assert (references[0], len(references)) == ("R0", total)
    assert 0 < total < 23


async def test_silence_is_503_for_so_many_calls(clickpesa: ClickPesa) -> None:
    await clickpesa.simulate("silence", calls=1)
    assert (await clickpesa.ask_for_link()).status_code == 503
    assert (await clickpesa.ask_for_link()).status_code == 200


async def test_the_rate_of_the_shilling(clickpesa: ClickPesa) -> None:
    answer = await clickpesa.http.get("/exchange-rates/all", params={"source": "USD", "target": "TZS"})
    [row] = json.loads(answer.text, parse_float=str)
    assert (row["source"], row["target"], row["rate"]) == ("USD", "TZS", "2631.58")
    assert row["date"] == clickpesa.clock.now().isoformat()
    assert (await clickpesa.http.get("/exchange-rates/all", params={"target": "KES"})).json() == []
