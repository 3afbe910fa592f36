"""The pages that a person sees at the demo gateway. Plain HTML, no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode

from starlette.responses import HTMLResponse

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:100vh;margin:0;background:#eef1f4;
color:#1b1f24}main{background:#fff;padding:2rem;border-radius:12px;min-width:18rem;box-shadow:0 2px 12px #0002}
p.sum{font-size:2rem;margin:.25rem 0}small{color:#5b6570}button{font:inherit;padding:.6rem 1.2rem;border:0;
border-radius:8px;margin:1rem .5rem 0 0;cursor:pointer;background:#d5d9de}button.go{background:#1a7f4b;color:#fff}
"""


def payment_page(parameters: Mapping[str, str], amount: str) -> HTMLResponse:
    """What is to be paid, and the buttons. ``amount`` is ready to be read."""
    action = escape(f"/pay?{urlencode(dict(parameters))}")
    return framed(
        "Demo payment",
        f'<p class="sum">{escape(amount)}</p><small>Reference {escape(parameters["reference"])}<br>'
        f"for {escape(parameters['user_id'])}. No money is taken.</small>"
        f'<form method="post" action="{action}"><button class="go" name="outcome" value="confirmed">Confirm</button>'
        f'<button name="outcome" value="less">Pay less</button><button name="outcome" value="later">Pay later</button>'
        f'<button name="outcome" value="failed">Fail</button></form>',
    )


TITLES = {
    "confirmed": "Payment confirmed",
    "failed": "Payment failed",
    "less": "Part of the payment confirmed",
    "later": "Payment on its way",
}


def outcome_page(outcome: str, *, delivered: bool) -> HTMLResponse:
    """What became of it."""
    if not delivered:
        return framed("Not delivered", "<p>The shop did not take the notice. Go back and try again.</p>", 502)
    told = "The shop will be told in a moment." if outcome == "later" else "The shop has been told."
    return framed(TITLES[outcome], f"<p>{told} You can close this page.</p>")


def refused_page() -> HTMLResponse:
    """The address was not made by payments-api."""
    return framed("Not a payment", "<p>This address was not signed by the shop.</p>", 403)


def framed(title: str, body: str, status: int = 200) -> HTMLResponse:
    """A page; ``body`` is HTML, escaped by whoever made it."""
    content = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style><main><h1>{escape(title)}</h1>{body}</main></html>"
    )
    return HTMLResponse(content, status, dict(_HEADERS))
