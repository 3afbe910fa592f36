"""``GET /api/payments/{id}/receipt.pdf``: the receipt of a payment of one's own."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from chassis.http import ExactRouter
from payments_api.application.receipts import Drawing, Receipts
from payments_api.entrypoints.http.payments import Id
from payments_api.entrypoints.http.people import Person

PDF = "application/pdf"


def routes(receipts: Receipts, drawing: Drawing) -> ExactRouter:
    """The router."""
    router = ExactRouter(prefix="/api/payments", tags=["payments"])

    @router.get(
        "/{payment_id}/receipt.pdf",
        response_class=Response,
        responses={200: {"content": {PDF: {}}}, 404: {}, 409: {"description": "Nothing has been credited for it"}},
        summary="The receipt of a payment of yours, once it is credited",
    )
    async def receipt_pdf(payment_id: Id, person: Person) -> Response:
        receipt = await receipts.of_payment(payment_id, person)
        document = await asyncio.to_thread(drawing, receipt)
        headers = {
            "content-disposition": f'inline; filename="receipt-{receipt.number}.pdf"',
            "cache-control": "private, no-store",
        }
        return Response(document, media_type=PDF, headers=headers)

    return router
