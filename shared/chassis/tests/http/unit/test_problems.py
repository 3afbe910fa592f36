"""Every error is a problem document, names the field, and repeats nothing that was sent."""

from typing import Any

import pytest


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:gridledger:problem:{code}"
    assert document["title"]
    return document


@pytest.mark.asyncio
@pytest.mark.parametrize("amount", ['"25.00"', "25.00", "25", '"25"'])
async def test_an_amount_may_be_a_number_or_a_string(client: Any, amount: str) -> None:
    async with client() as http:
        response = await http.post(
            "/v1/charges", content=f'{{"amount": {amount}}}', headers={"content-type": "application/json"}
        )
    assert response.status_code == 201
    assert response.content == f'{{"amount":{amount.strip(chr(34))}}}'.encode()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", "not_positive"),
        ('"-1"', "not_positive"),
        ('"abc"', "not_a_number"),
        ("true", "not_a_number"),
        ("null", "not_a_number"),
        ("[1]", "not_a_number"),
        ('"NaN"', "not_a_number"),
        ('"1e3"', "not_a_number"),
        ('"١"', "not_a_number"),
        ("1e400", "not_a_number"),
        ("1e999999999999999999", "not_a_number"),
        ("0.001", "too_many_decimals"),
        ("10000000000000.00", "too_large"),
    ],
)
async def test_a_wrong_amount_names_its_field_and_rule(client: Any, amount: str, code: str) -> None:
    async with client() as http:
        response = await http.post(
            "/v1/charges", content=f'{{"amount": {amount}}}', headers={"content-type": "application/json"}
        )
    document = assert_problem(response, 422, code)
    assert document["field"] == "amount"
    assert [error["field"] for error in document["errors"]] == ["amount"]


@pytest.mark.asyncio
async def test_every_wrong_field_is_listed_by_its_path_and_no_value_is_repeated(client: Any) -> None:
    body = {"items": [{"amount": "1.00"}, {"amount": "hunter2", "note": 5}], "order": "zebra"}
    async with client() as http:
        response = await http.post("/v1/baskets", json=body)
    document = assert_problem(response, 422, "not_a_number")
    assert [error["field"] for error in document["errors"]] == ["items.1.amount", "items.1.note", "order"]
    assert "hunter2" not in response.text
    assert "`z`" not in response.text


@pytest.mark.asyncio
async def test_a_missing_body_and_a_wrong_query_name_what_they_are(client: Any) -> None:
    async with client() as http:
        assert assert_problem(await http.post("/v1/charges"), 422, "missing")["field"] == "body"
        assert assert_problem(await http.get("/v1/from-thread?limit=x"), 422, "int_parsing")["field"] == "limit"


@pytest.mark.asyncio
async def test_malformed_json_is_400_and_another_media_type_415(client: Any) -> None:
    json_type = {"content-type": "application/json"}
    async with client() as http:
        assert_problem(await http.post("/v1/charges", content=b"{", headers=json_type), 400, "malformed_json")
        assert_problem(await http.post("/v1/charges", content=b"[NaN]", headers=json_type), 400, "malformed_json")
        assert_problem(await http.post("/v1/charges", data={"amount": "1"}), 415, "unsupported_media_type")
        assert_problem(await http.post("/v1/charges", content=b"{}"), 415, "unsupported_media_type")


@pytest.mark.asyncio
async def test_what_is_not_routed_is_a_problem_too(client: Any) -> None:
    async with client() as http:
        assert_problem(await http.get("/nowhere"), 404, "not_found")
        refused = await http.put("/raw")
        assert_problem(refused, 405, "method_not_allowed")
        assert refused.headers["allow"] == "POST"


@pytest.mark.asyncio
async def test_domain_errors_carry_their_code_and_more(client: Any) -> None:
    async with client() as http:
        assert assert_problem(await http.get("/raise/conflict"), 409, "already_there")["existing"] == "x1"
        assert_problem(await http.get("/raise/missing"), 404, "no_such_thing")
        refused = await http.get("/raise/unauthorized")
        assert_problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.asyncio
async def test_what_passes_is_503_with_a_time_and_a_bug_is_500_without_detail(client: Any) -> None:
    async with client() as http:
        away = await http.get("/raise/operational")
        assert_problem(away, 503, "unavailable")
        assert away.headers["retry-after"] == "7"
        refused = await http.get("/raise/connection")
        assert_problem(refused, 503, "unavailable")
        crashed = await http.get("/raise/crash")
        assert_problem(crashed, 500, "internal_error")
    assert "secret" not in away.text + refused.text + crashed.text


@pytest.mark.asyncio
async def test_plain_values_of_endpoints_are_exact(client: Any) -> None:
    async with client() as http:
        assert (await http.get("/v1/from-thread?limit=7")).content == b'{"limit":7,"rate":0.10}'
        deleted = await http.delete("/v1/things/00000000-0000-0000-0000-000000000001")
        assert (deleted.status_code, deleted.content) == (204, b"")


@pytest.mark.asyncio
async def test_the_interface_description_promises_problems(client: Any) -> None:
    async with client() as http:
        described = (await http.get("/openapi.json")).json()
    responses = described["paths"]["/v1/charges"]["post"]["responses"]
    assert set(responses) == {"201", "default"}
    assert "application/problem+json" in responses["default"]["content"]
