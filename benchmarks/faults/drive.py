"""A folder in the tests' Drive that people work in, and that Drive refuses, forgets and misplaces."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.faults.common import LARGE_LINES
from benchmarks.faults.launcher import POISON
from benchmarks.faults.life import wait_until
from benchmarks.faults.stored import stored
from benchmarks.faults.texts import Text
from benchmarks.faults.world import Card, World
from tests.drive import DriveServer, cut_body, error, server_error, unauthorized
from tests.drive.faults import Fault

FILES = 60
MASS_FILES = 40
FAULTS = 0.02
"""The share of all requests that fail in a way that another try cures."""
MISSED_FOLDERS = 0.3
"""The share of the folders in a question about several that its answer leaves out, as if they were empty."""
REFUSALS = (
    *((403, reason) for reason in ("CONSUMER_SUSPENDED", "BILLING_DISABLED", "userRateLimitExceeded", "forbidden")),
    (400, "failedPrecondition"),
)


class DriveFolder:
    """The place; files are named as in Drive, where each has a name of its own."""

    kind = "google-drive"

    def __init__(self, world: World, base: Path) -> None:
        del base
        self._world = world
        self._known = world.known
        self._server = DriveServer().__enter__()
        self._drive = self._server.drive
        self._top = self._drive.add_folder("top")
        self._outside = self._drive.add_folder("outside")
        self._folders = [self._drive.add_folder(f"folder {number}", self._top) for number in range(5)]
        self._folders.append(self._drive.add_folder("deep", self._folders[0]))
        self._mass_folder = self._drive.add_folder("mass", self._top)
        self._ids: dict[str, str] = {}  # Drive's ids by key
        self._held_back: set[str] = set()
        self._count = 0
        for _ in range(FILES):
            self.write_new()
        self._mass = [self._add(world.texts.new(), self._mass_folder) for _ in range(MASS_FILES)]
        self._held_back.update(self._mass)
        self._server.behaviour.or_queries_miss_share = MISSED_FOLDERS
        self._server.faults.random(FAULTS, world.chance.randrange(1 << 30))

    # What a place has to have

    def arguments(self) -> list[str]:
        return [self.kind, "--folder-id", self._top, "--plain"]

    def env(self) -> dict[str, str]:
        return {
            "GOOGLE_DRIVE_CREDENTIALS_JSON": json.dumps(self._server.service_account()),
            "GOOGLE_DRIVE_API_URL": self._server.url,
            "RAG_CHECK_INTERVAL": "1",
        }

    def close(self) -> None:
        self._server.close()

    def edit(self) -> None:
        edits: list[tuple[int, Callable[[], object]]] = [
            (6, self.write_new),
            (6, self._change),
            (3, self._rename),
            (3, lambda: self._drive.move(self._ids[self._some()], self._world.chance.choice(self._folders))),
            (2, self._delete),
            (2, self._copy),
            (1, lambda: self._drive.touch(self._ids[self._some()])),
        ]
        weights, doing = zip(*edits, strict=True)
        self._world.chance.choices(doing, weights)[0]()

    def write_new(self, lines: int | None = None) -> str:
        return self._add(self._world.texts.new(lines), self._world.chance.choice(self._folders))

    def poison(self) -> str:
        key = self._add(self._world.texts.new(), self._top, "poisoned.txt")
        self._held_back.add(key)
        self._world.wait(lambda: self._known.is_seen(key), "the text that is to be kept")
        self._drive.set_content(self._ids[key], f"{POISON} {self._world.texts.new().mark}")
        return key

    def cards(self) -> Sequence[Card]:
        return [
            *(
                Card(f"Drive: {status} {reason}", partial(self._refuse, error(status, reason)))
                for status, reason in REFUSALS
            ),
            Card("Drive: 401, an expired key", self._expire_key, 2),
            Card("Drive: 401 to everything", partial(self._refuse, unauthorized())),
            Card("Drive: 500", partial(self._refuse, server_error(500))),
            Card("Drive: connections cut off", partial(self._refuse, cut_body())),
            Card("Drive: account revoked, and restored", self._revoke_account),
            Card("Drive: changes lost (410), lists that leave things out", self._hide, 3),
            Card("Drive: a folder taken out of the share, and back", self._unshare, 2),
            Card("Drive: the same, its files shared by themselves", self._unshare_but_files),
            Card("Drive: a folder renamed and moved", self._move_folder, 2),
            Card("mass deletion, confirmed", self._mass_confirmed),
            Card("mass deletion, and back", self._mass_back),
            Card("mass deletion, killed meanwhile, and back", partial(self._mass_back, kill=True)),
            Card("a text turns empty, and comes again", self._empty_and_back, 2),
            Card("files that are no text", self._no_texts),
            Card("a file larger than a batch", self._large, 2),
            Card("one content under two new names at once", self._twins, 3),
        ]

    def calm(self) -> None:
        self._server.faults.clear()
        self._server.behaviour.unlisted = set()
        self._server.behaviour.or_queries_miss_share = 0.0
        self._server.grants.restore()
        self._server.expire_change_tokens()
        for violation in self._server.violations:
            self._world.note(f"a request that Drive does not know: {violation}")

    # What people do

    def _some(self) -> str:
        return self._world.some_settled(self._held_back)

    def _add(self, text: Text, folder: str, name: str | None = None) -> str:
        self._count += 1
        name = name or f"file {self._count}.txt"
        key = self._known.come(name, text)
        self._ids[key] = self._drive.add_file(name, text.body, folder)
        return key

    def _change(self) -> None:
        key, text = self._some(), self._world.texts.new()
        self._known.write(key, text)
        self._drive.set_content(self._ids[key], text.body)

    def _rename(self) -> None:
        self._count += 1
        key, name = self._some(), f"file {self._count}.txt"
        self._known.rename(key, name)
        self._drive.rename(self._ids[key], name)

    def _delete(self) -> None:
        key = self._some()
        self._known.go([key])
        self._drive.delete(self._ids.pop(key))

    def _copy(self) -> None:
        self._add(self._known.text(self._some()), self._world.chance.choice(self._folders))

    # What goes wrong

    def _refuse(self, fault: Fault) -> None:
        world = self._world
        planned = self._server.faults.add(fault, times=None)
        for _ in range(2):
            self.edit()
        # Of what is tried again for a minute the status says nothing yet.
        shown = wait_until(
            lambda: planned.hits and world.life.status().get("status") == "error", world.chance.uniform(2.0, 4.0)
        )
        world.outages += 1
        world.outages_shown += shown
        world.pause(0.0, 0.5)
        planned.times = planned.hits

    def _expire_key(self) -> None:
        self._server.grants.expire_access_tokens()
        self.edit()
        self._world.pause(0.3, 1.0)

    def _revoke_account(self) -> None:
        self._server.grants.revoke()
        self.edit()
        self._world.pause(1.5, 2.5)
        self._server.grants.restore()
        # By itself the pipeline tries again after an hour.
        self._world.wait(lambda: self._world.life.control("check"), "the check")

    def _hide(self) -> None:
        with self._drive.lock:
            there = sorted([*self._folders, *(self._ids[key] for key in self._known.good() if key not in self._mass)])
            self._server.behaviour.unlisted = set(self._world.chance.sample(there, len(there) // 10))
        self._server.expire_change_tokens()
        self._world.pause(2.0, 3.0)
        self._server.behaviour.unlisted = set()
        self._server.expire_change_tokens()

    def _of_folder(self) -> tuple[str, list[str]]:
        """Return a folder without other folders in it, and the keys of the files in it."""
        folder = self._world.chance.choice(self._folders[1:])
        inside = {item.id for item in self._drive.children(folder)}
        return folder, [key for key in self._known.good() if self._ids[key] in inside]

    def _unshare(self) -> None:
        folder, keys = self._of_folder()
        self._known.go(keys)
        self._drive.revoke(folder)
        self._world.pause(1.0, 3.0)
        self._come_back(keys)
        self._drive.grant(folder)

    def _unshare_but_files(self) -> None:
        folder, keys = self._of_folder()
        for key in keys:
            self._drive.grant(self._ids[key])
        self._drive.revoke(folder)
        self._world.pause(2.0, 4.0)
        self._drive.grant(folder)

    def _move_folder(self) -> None:
        self._count += 1
        folder = self._world.chance.choice(self._folders[1:5])
        self._drive.rename(folder, f"renamed {self._count}")
        self._drive.move(folder, self._world.chance.choice([self._top, self._folders[0]]))
        self._world.pause(0.3, 1.0)

    def _take_mass_away(self) -> None:
        self._world.lose(self._mass, lambda: self._drive.trash(self._mass_folder))

    def _mass_confirmed(self) -> None:
        world = self._world
        self._take_mass_away()
        self._known.go(self._mass)
        world.wait(lambda: world.life.control("confirm"), "a confirmation")
        gone = {self._known.name(key) for key in self._mass}
        world.wait(lambda: not gone & stored(world.state).keys(), "the deletions")
        self._come_back(self._mass)
        self._drive.untrash(self._mass_folder)

    def _mass_back(self, *, kill: bool = False) -> None:
        world = self._world
        self._take_mass_away()
        if kill:
            world.life.kill()
            world.life.start()
            world.wait_held(MASS_FILES)
        self._drive.untrash(self._mass_folder)
        world.wait_released()

    def _come_back(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._world.come_back(key)

    def _empty_and_back(self) -> None:
        key = self._some()
        self._known.go([key])
        self._drive.set_content(self._ids[key], "")
        self._world.pause(0.2, 2.0)
        text = self._known.come_back(key, self._world.texts.new())
        self._drive.set_content(self._ids[key], text.body)

    def _no_texts(self) -> None:
        self._count += 1
        self._drive.add_file(f"broken {self._count}.pdf", b"%PDF-1.7\nthis is no PDF", self._folders[0])
        self._drive.add_file(f"picture {self._count}.png", b"\x89PNG\r\n\x1a\n" + bytes(64), self._folders[0])
        self._drive.add_file(f"empty {self._count}.txt", " \n", self._folders[0])
        self._drive.add_file(f"closed {self._count}.txt", "not to be downloaded", self._folders[0], can_download=False)

    def _large(self) -> None:
        self.write_new(LARGE_LINES)
        self._world.pause(1.0, 3.0)

    def _twins(self) -> None:
        text = self._world.texts.new()
        for _ in range(2):
            self._add(text, self._world.chance.choice(self._folders))
