"""The tree of the parts of a mail."""

from __future__ import annotations

from email.message import MIMEPart

from rag_pipeline.ingest.extract.readers.mail_tree import is_unnamed, leaves_of, root_of, shown_leaves


def leaf(kind: str, content: str = "x", **headers: str) -> MIMEPart:
    part = MIMEPart()
    part["Content-Type"] = kind
    for name, value in headers.items():
        part[name.replace("_", "-")] = value
    part.set_payload(content)
    return part


def branch(kind: str, *parts: MIMEPart) -> MIMEPart:
    part = MIMEPart()
    part["Content-Type"] = kind
    part.set_payload(list(parts))
    return part


def test_a_forwarded_mail_is_one_leaf() -> None:
    forwarded = branch("message/rfc822", leaf("text/plain"))
    first, last = leaf("text/html"), leaf("text/plain", Content_Disposition="attachment")
    tree = branch("multipart/mixed", first, branch("multipart/mixed", forwarded), last)
    assert list(leaves_of(tree)) == [first, forwarded, last]
    assert shown_leaves(tree) == [first]


def test_the_root_is_named_or_the_first_text() -> None:
    picture, page = leaf("image/png", Content_ID="<a>"), leaf("text/html", Content_ID="<b>")
    second = leaf("text/html", Content_ID="<c>")
    assert root_of(branch("multipart/related", picture, page, second)) is page
    assert root_of(branch('multipart/related; start="<c>"', picture, page, second)) is second
    assert root_of(branch('multipart/related; start="<z>"', picture, page)) is page
    assert root_of(branch("multipart/related", picture)) is picture


def test_attachments_and_empty_parts_have_no_body() -> None:
    assert is_unnamed(leaf("image/png"))
    assert not is_unnamed(leaf("image/png; name=a.png"))
    assert not is_unnamed(leaf("image/png", Content_Disposition="attachment"))
    assert not is_unnamed(leaf("text/plain", "\n"))
