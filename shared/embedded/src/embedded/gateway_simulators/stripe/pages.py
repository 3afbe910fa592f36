"""The pages that a person sees at the simulated Stripe. Plain HTML, no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from embedded.gateway_simulators.stripe.cards import CARDS

ZERO_DECIMAL = frozenset({"bif", "clp", "jpy", "krw", "rwf", "ugx", "vnd", "xaf", "xof"})
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:100vh;margin:0;background:#eef1f4;
color:#1b1f24}main{background:#fff;padding:2rem;border-radius:12px;min-width:20rem;box-shadow:0 2px 12px #0002}
p.sum{font-size:2rem;margin:.25rem 0}small{color:#5b6570}button{font:inherit;padding:.6rem 1.2rem;border:0;
border-radius:8px;margin:1rem .5rem 0 0;cursor:pointer;background:#d5d9de}button.go{background:#1a7f4b;color:#fff}
label{display:block;padding:.15rem 0}p.bad{color:#a1260d}
"""


def pay_page(paid: Mapping[str, Any], problem: str = "") -> HTMLResponse:
    """What is to be paid, the test cards, and three ways to go on. ``paid`` is a session or an intent."""
    units = paid["amount_total"] if "amount_total" in paid else paid["amount"]
    complaint = f'<p class="bad">{escape(problem)}</p>' if problem else ""
    cards = "".join(_choice(number, card.label, is_first=n == 0) for n, (number, card) in enumerate(CARDS.items()))
    form = (
        f'<form method="post">{cards}<button class="go" name="action" value="pay">Pay</button>'
        '<button name="action" value="later">Pay by a slow method</button>'
        '<button name="action" value="cancel">Give up</button></form>'
    )
    reference = escape(paid.get("metadata", {}).get("reference", ""))
    return _page(
        "Simulated Stripe",
        f'<p class="sum">{escape(_readable(units, paid["currency"]))}</p>'
        f"<small>Reference {reference}. No money is taken.</small>{complaint}{form}",
        402 if problem else 200,
    )


def done_page(title: str, back: str | None) -> HTMLResponse:
    """It is over; the shop is told by webhook, whether anybody follows the link or not."""
    link = f'<p><a href="{escape(back)}">Back to the shop</a></p>' if back else ""
    return _page(title, f"<p>The shop is told.</p>{link}")


def unknown_page() -> HTMLResponse:
    """Nothing to pay here."""
    return _page("Nothing to pay", "<p>There is no such payment, or it is over.</p>", 404)


def _choice(number: str, label: str, *, is_first: bool) -> str:
    spaced = " ".join(number[start : start + 4] for start in range(0, len(number), 4))
    checked = " checked" if is_first else ""
    return f'<label><input type="radio" name="card" value="{number}"{checked}> {spaced} {escape(label)}</label>'


def _readable(units: int, currency: str) -> str:
    if currency in ZERO_DECIMAL:
        return f"{units} {currency.upper()}"
    return f"{units // 100}.{units % 100:02} {currency.upper()}"


def _page(title: str, body: str, status: int = 200) -> HTMLResponse:
    content = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>"
    )
    return HTMLResponse(content, status, dict(_HEADERS))
