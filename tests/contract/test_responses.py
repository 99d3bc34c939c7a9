from __future__ import annotations

from rag_pipeline.contract.responses import RESPONSES, content, error, responses


def test_every_path_has_the_common_errors() -> None:
    found = responses("Good.", content({}))
    assert found["200"] == {"description": "Good.", "content": {"application/json": {"schema": {}}}}
    assert sorted(found) == ["200", "400", "405", "408", "414", "421", "431", "503"]


def test_another_success_status_replaces_the_200() -> None:
    found = responses("It will be done.", {}, success="202")
    assert found["202"] == {"description": "It will be done.", "content": {}}
    assert "200" not in found


def test_an_error_of_one_path_is_json() -> None:
    found = error("Not now.")
    assert found == {"description": "Not now.", "content": content({"$ref": "#/components/schemas/Error"})}


def test_additional_errors_are_sorted() -> None:
    assert list(responses("Good.", {}, "404", "401"))[:4] == ["200", "400", "401", "404"]


def test_every_referenced_error_is_defined_as_json() -> None:
    for status, response in responses("Good.", {}, "401", "403", "404").items():
        if status != "200":
            found = RESPONSES[response["$ref"].rpartition("/")[2]]
            assert found["content"] == content({"$ref": "#/components/schemas/Error"})
