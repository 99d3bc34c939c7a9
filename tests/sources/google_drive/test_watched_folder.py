from __future__ import annotations

from collections.abc import Iterator

import pytest

from rag_pipeline.errors import ConfigurationError
from rag_pipeline.ingest.types import Stopped
from rag_pipeline.sources.google_drive import watched_folder
from rag_pipeline.sources.google_drive.api import DriveApi
from rag_pipeline.sources.source import SourceUnavailableError
from tests.drive import ELSEWHERE, SHARED_WITH_ME, DriveServer
from tests.sources.google_drive.support import StopAfter, no_check, open_api


@pytest.fixture
def api(server: DriveServer) -> Iterator[DriveApi]:
    with open_api(server) as made:
        yield made


def test_a_folder_is_found_in_my_drive_and_in_a_shared_drive(server: DriveServer, api: DriveApi) -> None:
    mine, team = server.drive.add_folder("mine"), server.drive.add_drive("Team")
    assert watched_folder.find_folder(api, mine, no_check).name == "mine"
    assert (
        watched_folder.find_folder(api, "root", no_check).id,
        watched_folder.find_folder(api, "root", no_check).name,
    ) == (
        server.drive.root_id,
        "My Drive",
    )
    # The root folder is always called Drive; people know the shared drive's own name.
    assert (
        watched_folder.find_folder(api, team, no_check).name,
        watched_folder.find_folder(api, team, no_check).drive_id,
    ) == (
        "Team",
        team,
    )
    below = server.drive.add_folder("papers", team)
    assert (
        watched_folder.find_folder(api, below, no_check).name,
        watched_folder.find_folder(api, below, no_check).drive_id,
    ) == (
        "papers",
        team,
    )


def test_a_file_instead_of_a_folder_is_a_configuration_error(server: DriveServer, api: DriveApi) -> None:
    file = server.drive.add_file("a.txt", "x")
    with pytest.raises(ConfigurationError) as caught:
        watched_folder.find_folder(api, file, no_check)
    assert str(caught.value) == f"{file} is not a folder but 'a.txt' (text/plain)"


def test_an_invisible_or_trashed_folder_may_come_back(server: DriveServer, api: DriveApi) -> None:
    theirs = server.drive.add_folder("theirs", ELSEWHERE)
    with pytest.raises(SourceUnavailableError) as unseen:
        watched_folder.find_folder(api, theirs, no_check)
    assert str(unseen.value) == "the folder is not there, or not shared with these credentials"
    mine = server.drive.add_folder("mine")
    server.drive.trash(mine)
    with pytest.raises(SourceUnavailableError) as trashed:
        watched_folder.find_folder(api, mine, no_check)
    assert str(trashed.value) == "the folder is in the trash"


def test_the_visible_ancestors_are_found(server: DriveServer, api: DriveApi) -> None:
    one = server.drive.add_folder("one")
    two = server.drive.add_folder("two", one)
    three = server.drive.add_folder("three", two)
    assert watched_folder.ancestors(api, api.file(three), no_check) == [two, one, server.drive.root_id]
    theirs = server.drive.add_folder("theirs", SHARED_WITH_ME)
    assert watched_folder.ancestors(api, api.file(theirs), no_check) == []
    with pytest.raises(Stopped):
        watched_folder.ancestors(api, api.file(three), StopAfter(1))
