"""The answers that all addresses share."""

from __future__ import annotations

from rag_pipeline.contract.responses import RESPONSES, content, error, responses


def test_every_address_can_answer_with_the_errors_of_any() -> None:
    found = responses("Good.", content({}))
    assert found["200"] == {"description": "Good.", "content": {"application/json": {"schema": {}}}}
    assert sorted(found) == ["200", "400", "405", "408", "414", "421", "431", "503"]


def test_a_success_that_is_not_200_stands_in_its_place() -> None:
    found = responses("It will be done.", {}, success="202")
    assert found["202"] == {"description": "It will be done.", "content": {}}
    assert "200" not in found


def test_an_error_of_one_address_is_json_as_any_is() -> None:
    found = error("Not now.")
    assert found == {"description": "Not now.", "content": content({"$ref": "#/components/schemas/Error"})}


def test_further_errors_stand_in_order() -> None:
    assert list(responses("Good.", {}, "404", "401"))[:4] == ["200", "400", "401", "404"]


def test_each_error_that_is_referred_to_is_there_and_is_json() -> None:
    for status, response in responses("Good.", {}, "401", "403", "404").items():
        if status != "200":
            found = RESPONSES[response["$ref"].rpartition("/")[2]]
            assert found["content"] == content({"$ref": "#/components/schemas/Error"})
