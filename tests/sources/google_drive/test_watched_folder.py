from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive import watched_folder
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.source import SourceUnavailableError
from tests.drive import ELSEWHERE, SHARED_WITH_ME, DriveServer
from tests.sources.google_drive.driving import StopAfter, asking, go_on


@pytest.fixture
def api(server: DriveServer) -> Iterator[DriveApi]:
    with asking(server) as made:
        yield made


def test_a_folder_is_found_in_my_drive_in_a_shared_drive_and_as_a_whole(server: DriveServer, api: DriveApi) -> None:
    mine, team = server.drive.add_folder("mine"), server.drive.add_drive("Team")
    assert watched_folder.find_folder(api, mine, go_on).name == "mine"
    assert (watched_folder.find_folder(api, "root", go_on).id, watched_folder.find_folder(api, "root", go_on).name) == (
        server.drive.root_id,
        "My Drive",
    )
    # Its root folder is always called Drive; people know it by the name of the shared drive.
    assert (
        watched_folder.find_folder(api, team, go_on).name,
        watched_folder.find_folder(api, team, go_on).drive_id,
    ) == (
        "Team",
        team,
    )
    below = server.drive.add_folder("papers", team)
    assert (
        watched_folder.find_folder(api, below, go_on).name,
        watched_folder.find_folder(api, below, go_on).drive_id,
    ) == (
        "papers",
        team,
    )


def test_what_is_not_a_folder_is_a_mistake_that_is_told(server: DriveServer, api: DriveApi) -> None:
    file = server.drive.add_file("a.txt", "x")
    with pytest.raises(ConfigurationError) as refused:
        watched_folder.find_folder(api, file, go_on)
    assert str(refused.value) == f"{file} is not a folder but 'a.txt' (text/plain)"


def test_what_cannot_be_seen_or_is_in_the_trash_may_come_back(server: DriveServer, api: DriveApi) -> None:
    theirs = server.drive.add_folder("theirs", ELSEWHERE)
    with pytest.raises(SourceUnavailableError) as unseen:
        watched_folder.find_folder(api, theirs, go_on)
    assert str(unseen.value) == "the folder is not there, or not shared with these credentials"
    mine = server.drive.add_folder("mine")
    server.drive.trash(mine)
    with pytest.raises(SourceUnavailableError) as trashed:
        watched_folder.find_folder(api, mine, go_on)
    assert str(trashed.value) == "the folder is in the trash"


def test_the_folders_above_are_known_as_far_as_they_can_be_seen(server: DriveServer, api: DriveApi) -> None:
    one = server.drive.add_folder("one")
    two = server.drive.add_folder("two", one)
    three = server.drive.add_folder("three", two)
    assert watched_folder.ancestors(api, api.file(three), go_on) == [two, one, server.drive.root_id]
    theirs = server.drive.add_folder("theirs", SHARED_WITH_ME)
    assert watched_folder.ancestors(api, api.file(theirs), go_on) == []
    with pytest.raises(Stopped):
        watched_folder.ancestors(api, api.file(three), StopAfter(1))
