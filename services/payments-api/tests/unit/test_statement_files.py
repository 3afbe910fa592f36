"""Statements as files: CSV of several banks' habits, camt.053 of two versions, and what is refused as a whole."""

from __future__ import annotations

import csv
from datetime import date
from typing import Any

import pytest

from payments_api.adapters.statements.reading import read_statement
from payments_api.application.bank_statements import Booking, Statement, StatementRefused, identified

PLAIN = """Date,Value Date,Amount,Currency,Description,Payer,Bank Reference,Balance
2026-05-04,2026-05-05,1500.00,USD,"GL-1234, thanks",Alice Ltd,TX/1,9.00
2026-05-04,,-20.00,USD,Fees,,TX/2,8.00

2026-05-05,2026-05-05,"2,000.50",USD,rent,Bob,,7.00
"""
GERMAN = """Statement of May

Booking Date;Credit;Debit;Currency;Purpose
31.05.2026;1.500,00;;EUR;hello
31.05.2026;;7,00;EUR;x
"""


def read(text: str, **options: Any) -> Statement:
    return read_statement(text.encode(), **options)


def booking(**changed: Any) -> Booking:
    given: dict[str, Any] = {
        "account": "",
        "bank_reference": None,
        "booked_on": date(2026, 5, 4),
        "value_date": None,
        "asset": "USD/2",
        "units": 150_000,
        "remittance": "hello",
        "payer": "",
    }
    return Booking(**given | changed)


def test_csv() -> None:
    statement = read(PLAIN)
    assert statement.skipped == 1
    assert statement.bookings == [
        booking(
            bank_reference="TX/1",
            value_date=date(2026, 5, 5),
            remittance="GL-1234, thanks",
            payer="Alice Ltd",
        ),
        booking(booked_on=date(2026, 5, 5), value_date=date(2026, 5, 5), units=200_050, remittance="rent", payer="Bob"),
    ]


def test_csv_of_another_bank() -> None:
    statement = read_statement(b"\xef\xbb\xbf" + GERMAN.replace("\n", "\r\n").encode())
    assert statement == Statement([booking(booked_on=date(2026, 5, 31), asset="EUR/2")], 1)


def test_a_csv_without_currencies_needs_one() -> None:
    text = "date\tamount\treference\n01/02/2026\t5.00\tGL-1\n"
    with pytest.raises(StatementRefused, match="Line 2"):
        read(text, order="dmy")
    (found,) = read(text, order="dmy", currency="usd").bookings
    assert (found.booked_on, found.asset) == (date(2026, 2, 1), "USD/2")
    assert (found.bank_reference, found.remittance) == (None, "GL-1"), "a payer's reference is no bank's"


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        (("1500.00", "15x"), "bad_amount", 2),
        (("2,000.50", "2,000"), "ambiguous_amount", 5),
        (("2026-05-05,2026-05-05,", "2026-05-35,,"), "bad_date", 5),
        (("-20.00,USD", "-20.00,ZZZ"), "unknown_currency", 3),
        ((",8.00", ""), "bad_row", 3),
        (("TX/1", "T" * 141), "bad_reference", 2),
        (("thanks", 'th\nan"ks'), "not_csv", 3),
        (("Date,", "Day,"), "no_header", None),
        (("Value Date", "Booking-Date"), "double_column", 1),
        (("rent", "re\x00nt"), "not_csv", None),
    ],
)
def test_one_bad_row_refuses_the_file_by_its_line(change: tuple[str, str], code: str, line: int | None) -> None:
    with pytest.raises(StatementRefused) as refused:
        read(PLAIN.replace(*change))
    assert (refused.value.code, refused.value.line) == (code, line)
    assert refused.value.extra == ({} if line is None else {"line": line})


def test_credit_and_debit_in_one_row_are_refused() -> None:
    with pytest.raises(StatementRefused, match="Line 5"):
        read(GERMAN.replace(";;7,00", ";1,00;7,00"))


def test_a_line_is_counted_as_an_editor_counts_it() -> None:
    with pytest.raises(StatementRefused) as refused:
        read(PLAIN.replace("thanks", "thanks\nvery much").replace("2,000.50", "x"))
    assert refused.value.line == 6


def test_what_is_not_utf8_is_refused_by_its_line() -> None:
    with pytest.raises(StatementRefused) as refused:
        read_statement("date,amount\n1,2\nM\u00fcller".encode("latin-1"))
    assert (refused.value.code, refused.value.line) == ("not_utf8", 3)


@pytest.mark.parametrize("rows", ["{cell}", "Date,Amount,Currency\n{cell}", '"{cell}'])
def test_an_endless_cell_is_refused(rows: str) -> None:
    with pytest.raises(StatementRefused, match="not_csv"):
        read(rows.format(cell="a" * (csv.field_size_limit() + 1)))


def test_a_file_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("csv_rows", "camt053"):
        monkeypatch.setattr(f"payments_api.adapters.statements.{module}.ENTRIES_MAX", 2)
    for text in (PLAIN, camt(entry() * 3)):
        with pytest.raises(StatementRefused, match="a file may have 2 entries"):
            read(text)


V2 = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"
V8 = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"


def camt(entries: str, namespace: str = V2, prefix: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{namespace}"><BkToCstmrStmt><Stmt>'
        f"<Acct><Id><IBAN>DE02 1203</IBAN></Id></Acct>\n{prefix}{entries}</Stmt></BkToCstmrStmt></Document>"
    )


def entry(
    details: str = "", *, amount: str = "1500.00", head: str = "", status: str = "BOOK", side: str = "CRDT"
) -> str:
    return (
        f'<Ntry><Amt Ccy="USD">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd><Sts>{status}</Sts>'
        f"<BookgDt><Dt>2026-05-04</Dt></BookgDt><ValDt><DtTm>2026-05-05T23:30:00-11:00</DtTm></ValDt>{head}"
        f"<NtryDtls>{details}</NtryDtls></Ntry>\n"
    )


def transfer(text: str, reference: str, amount: str = "", payer: str = "<Nm>Alice</Nm>") -> str:
    return (
        f"<TxDtls><Refs><AcctSvcrRef>{reference}</AcctSvcrRef><EndToEndId>E2E-{text}</EndToEndId></Refs>{amount}"
        f"<RltdPties><Dbtr>{payer}</Dbtr></RltdPties>"
        f"<RmtInf><Ustrd>GL12</Ustrd><Ustrd>34 {text}</Ustrd></RmtInf></TxDtls>"
    )


WHOLE = {"account": "DE021203", "value_date": date(2026, 5, 5)}


def test_camt053() -> None:
    (found,) = read(camt(entry(transfer("&lt;x&gt;", "TX 1")))).bookings
    assert found == booking(**WHOLE, bank_reference="TX1", remittance="GL12 34 <x> E2E-<x>", payer="Alice")


def test_camt053_of_a_newer_version() -> None:
    text = camt(
        entry(transfer("x", "TX1", payer="<Pty><Nm>Alice</Nm></Pty>"), status="<Cd>BOOK</Cd>"), namespace=V8
    ).replace("<Dt>2026-05-04</Dt>", "<Dt>2026-05-04+02:00</Dt>")
    (found,) = read(text).bookings
    assert (found.payer, found.booked_on, found.bank_reference) == ("Alice", date(2026, 5, 4), "TX1")


def test_prefixed_names_are_the_same_names() -> None:
    text = camt(entry(transfer("x", "TX1")))
    prefixed = text.replace("<", "<n:").replace("<n:/", "</n:").replace("<n:?", "<?").replace("xmlns=", "xmlns:n=")
    assert read(prefixed) == read(text)


def test_an_entry_without_details_has_its_own_reference_and_text() -> None:
    head = "<AcctSvcrRef>E-1</AcctSvcrRef><AddtlNtryInf>from Alice</AddtlNtryInf>"
    (found,) = read(camt(entry(head=head))).bookings
    assert (found.bank_reference, found.remittance, found.payer) == ("E-1", "from Alice", "")


@pytest.mark.parametrize(
    "amount",
    ['<Amt Ccy="USD">{}</Amt><CdtDbtInd>CRDT</CdtDbtInd>', '<AmtDtls><TxAmt><Amt Ccy="USD">{}</Amt></TxAmt></AmtDtls>'],
)
def test_several_transfers_in_one_entry_are_taken_apart(amount: str) -> None:
    details = transfer("a", "TX1", amount.format("1000")) + transfer("b", "TX2", amount.format("500.00"))
    found = read(camt(entry(details, head="<AcctSvcrRef>E-1</AcctSvcrRef>"))).bookings
    assert [(one.bank_reference, one.units) for one in found] == [("TX1", 100_000), ("TX2", 50_000)]
    assert "34 a" in found[0].remittance
    assert "34 b" not in found[0].remittance


def test_parts_that_have_only_the_entrys_reference_have_none() -> None:
    amount = '<Amt Ccy="USD">750.00</Amt>'
    details = transfer("a", "E-1", amount) + transfer("b", "E-1", amount)
    found = read(camt(entry(details, head="<AcctSvcrRef>E-1</AcctSvcrRef>"))).bookings
    assert [one.bank_reference for one in found] == [None, None]
    assert len({one.receipt_id for one in identified(found)}) == 2


@pytest.mark.parametrize("amounts", [("1000", "400"), ("1500", ""), ("2000", "-500")])
def test_parts_that_do_not_add_up_stay_together(amounts: tuple[str, str]) -> None:
    written = [f'<Amt Ccy="USD">{amount.strip("-")}</Amt>' if amount else "" for amount in amounts]
    debit = "<CdtDbtInd>DBIT</CdtDbtInd>" if amounts[1].startswith("-") else ""
    details = transfer("a", "TX1", written[0]) + transfer("b", "TX2", written[1] + debit)
    (found,) = read(camt(entry(details, head="<AcctSvcrRef>E-1</AcctSvcrRef>"))).bookings
    assert (found.units, found.bank_reference) == (150_000, "E-1")
    assert "34 a" in found.remittance
    assert "34 b" in found.remittance


@pytest.mark.parametrize(
    "skipped", [{"side": "DBIT"}, {"status": "PDNG"}, {"head": "<RvslInd>true</RvslInd>"}, {"amount": "0"}]
)
def test_what_brought_no_money_is_skipped(skipped: dict[str, str]) -> None:
    assert read(camt(entry(**skipped))) == Statement([], 1)


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        (("1500.00", "1,500.00"), "bad_amount", 4),
        (("1500.00", "1500.001"), "bad_amount", 4),
        (('Ccy="USD"', 'Ccy="ZZZ"'), "unknown_currency", 4),
        (("2026-05-04", "2026-13-04"), "bad_date", 4),
        (("<CdtDbtInd>CRDT</CdtDbtInd>", ""), "bad_entry", 4),
        (('<Amt Ccy="USD">1500.00</Amt>', ""), "bad_entry", 4),
        (("</Ntry>", ""), "not_xml", 5),
        (("BkToCstmrStmt", "BkToCstmrDbtCdtNtfctn"), "not_camt053", 2),
        (("?>\n<Document", '?>\n<!DOCTYPE Document SYSTEM "http://127.0.0.1/x"><Document'), "forbidden_xml", 2),
        (
            ("?>\n<Document", '?>\n<!DOCTYPE d [<!ENTITY a "b">]>\n<Document'),
            "forbidden_xml",
            2,
        ),
        (("?>\n<Document", "?>\n<!DOCTYPE Document [<!ELEMENT Document ANY>]><Document"), "forbidden_xml", 2),
        (("UTF-8", "no-such-encoding"), "not_xml", None),
        (("<NtryDtls></NtryDtls>", "<a>" * 50 + "</a>" * 50), "not_xml", 4),
    ],
)
def test_one_bad_entry_refuses_the_document_by_its_line(change: tuple[str, str], code: str, line: int | None) -> None:
    text = camt("\n" + entry())
    assert change[0] in text
    with pytest.raises(StatementRefused) as refused:
        read(text.replace(*change))
    assert (refused.value.code, refused.value.line) == (code, line)


def test_a_line_is_the_same_in_every_file_that_holds_it() -> None:
    first, second = booking(remittance="a"), booking(remittance="b", bank_reference="TX1")
    ids = [entry.id for entry in identified([first, second])]
    assert [entry.id for entry in identified([second, booking(remittance=" a")])] == [ids[1], ids[0]]


def test_two_equal_lines_without_a_reference_are_two_transfers() -> None:
    entries = identified([booking(), booking()])
    assert len({entry.id for entry in entries}) == len({entry.receipt_id for entry in entries}) == 2
    assert identified([booking(), booking()]) == entries


def test_a_banks_reference_stands_for_one_transfer_in_a_file() -> None:
    (only,) = identified([booking(bank_reference="TX1"), booking(bank_reference="TX1", remittance="as seen from afar")])
    assert (only.receipt_id, only.bank_reference) == ("bt-TX1", "TX1")


def test_a_reference_that_a_bank_uses_again_is_another_line() -> None:
    entries = identified([booking(bank_reference="TX1"), booking(bank_reference="TX1", booked_on=date(2027, 5, 4))])
    assert len({entry.id for entry in entries}) == 2
    assert len({entry.receipt_id for entry in entries}) == 1
