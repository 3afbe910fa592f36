"""What a person sees at the simulated ClickPesa. Plain HTML, no scripts, nothing from elsewhere."""

from __future__ import annotations

from html import escape

from starlette.responses import HTMLResponse

from embedded.gateway_simulators.clickpesa.store import Link

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}
_STYLE = """
body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif;background:#f3f0ea;
color:#20242b}main{min-width:20rem;padding:2rem;border-radius:12px;background:#fff;box-shadow:0 2px 12px #0002}
strong{display:block;font-size:2rem}button{margin:1rem .5rem 0 0;padding:.6rem 1.2rem;border:0;border-radius:8px;
font:inherit;background:#ddd8cf;cursor:pointer}button.pay{background:#0b6bcb;color:#fff}
"""
BUTTONS = (("pay", "Pay"), ("fail", "Decline"), ("process", "Still on its way"))


def pay_page(link: Link) -> HTMLResponse:
    """The price, and what may become of it."""
    buttons = "".join(
        f'<button name="action" value="{action}"{" class=pay" if action == "pay" else ""}>{label}</button>'
        for action, label in BUTTONS
    )
    return _page(
        "Simulated ClickPesa",
        f"<strong>{escape(f'{link.price:f} {link.currency}')}</strong>"
        f"<p>Order {escape(link.reference)}. No money is taken.</p>"
        f'<form method="post">{buttons}</form>',
    )


def told_page(status: str) -> HTMLResponse:
    """How the payment stands. The way back stands in ClickPesa's dashboard, so there is none here."""
    return _page("Thank you", f"<p>The payment is {escape(status)}. You may close this page.</p>")


def unknown_page() -> HTMLResponse:
    """No such link."""
    return _page("Nothing to pay", "<p>There is no such checkout link.</p>", 404)


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><main><h1>{title}</h1>{content}</main></html>"
    )
    return HTMLResponse(page, status, dict(_HEADERS))
