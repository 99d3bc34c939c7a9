"""One run: a deck of faults, shuffled by the seed, over a source that people work in; then calm, and the judgement."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.faults import common
from benchmarks.faults.endpoint import FaultyEndpoint
from benchmarks.faults.known import Known
from benchmarks.faults.life import Life, wait_until
from benchmarks.faults.prober import Miss, Prober
from benchmarks.faults.stored import stored, stored_words
from benchmarks.faults.texts import Texts
from benchmarks.faults.world import Card, Place, World
from benchmarks.lib.process import ROOT
from rag_pipeline.ingest.store.lance.store import LanceVectorStore
from tests.sources.endpoint import DIMENSIONS
from tests.support.programs import environment

MODEL_ID = f"words@{DIMENSIONS}"
DISK_BYTES = 256 << 20
CALM_SECONDS = 150.0
QUICK_CARDS = 8
BURNING = frozenset({"EmbeddingError", "StoreError", "StateError", "ResourceError", "MemoryError", "RuntimeError"})
"""What trouble of a dependency would be called as the failure of a file."""


class Verdict(NamedTuple):
    """What came of a run; ``faults`` is what was wrong, in words."""

    kind: str
    seed: int
    seconds: float
    counts: dict[str, int]
    starts: int
    outages: int
    outages_shown: int
    asked: int
    misses: list[Miss]
    made: int
    least: int
    after_deaths: int
    distinct: int
    files: int
    asked_for: int
    faults: list[str]


def run(build: Callable[[World, Path], Place], seed: int, *, quick: bool, long: bool = False) -> Verdict:
    """Do one run; the seed decides what happens, and in which order."""
    began = time.monotonic()
    with ExitStack() as stack:
        base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        chance = random.Random(seed)
        endpoint = stack.enter_context(FaultyEndpoint(random.Random(seed + 1)))
        is_small = stack.enter_context(_small_disk(base / "disk"))
        world = World(chance, Known(), endpoint, base / "disk" / "state", is_small, Texts(chance))
        endpoint.doing = lambda: world.doing
        place = build(world, base)
        closer = getattr(place, "close", None)
        if closer is not None:
            stack.callback(closer)
        env = {
            **endpoint.env,
            **place.env(),
            "STATUS_STATE_DIR": str(world.state),
            "RAG_WORKERS": "2",
            "RAG_CHUNK_TOKENS": "128",
        }
        life = Life(place.arguments(), env, base / "faults.json", lambda: _account(world))
        stack.callback(life.close)
        world.set(life, place)
        store = stack.enter_context(closing(LanceVectorStore(world.state / "store", MODEL_ID, DIMENSIONS)))
        prober = Prober(store, world.known, random.Random(seed + 2), lambda: world.doing)
        with prober:
            _storm(world, quick=quick, long=long)
            asked_for = _calm_down(world)
            world.pause(0.5, 0.5)
        faults = [*world.notes, *_judged(world, prober, env)]
        embeddings = endpoint.embeddings
        return Verdict(
            place.kind, seed, time.monotonic() - began, dict(world.counts), life.starts, world.outages,
            world.outages_shown, prober.asked, prober.misses, embeddings.made, embeddings.least,
            embeddings.after_deaths, embeddings.distinct, len(world.known.expected()), asked_for, faults,
        )  # fmt: skip


def _storm(world: World, *, quick: bool, long: bool) -> None:
    world.life.start()
    world.wait(lambda: world.life.status().get("files_stored", 0) >= 20, "the first files")
    for card in deck([*common.cards(world), *world.place.cards()], world.chance, quick=quick, long=long):
        world.life.mind()
        for _ in range(world.chance.randint(1, 4)):
            world.place.edit()
        world.doing = card.name
        began = time.monotonic()
        card.play()
        print(f"  {card.name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        world.counts[card.name] += 1
        world.pause(0.0, 0.5)


def deck(cards: Sequence[Card], chance: random.Random, *, quick: bool, long: bool = False) -> list[Card]:
    """Return the faults in the order in which they come: each once, a few alone, or as often as they want."""
    dealt = [card for card in cards for _ in range(card.times if long else 1)]
    chance.shuffle(dealt)
    return dealt[:QUICK_CARDS] if quick else dealt


def _calm_down(world: World) -> int:
    """Let all go well, until the store is right; return how many files somebody had to ask for."""
    world.doing = "calm"
    world.endpoint.fail(None)
    world.life.fail({})
    world.place.calm()
    world.life.mind()
    world.life.control("check")
    asked_for: set[str] = set()

    def is_right() -> bool:
        world.life.mind()
        expected = set(world.known.expected())
        for failed in world.life.failures():
            # Killed three times in its work, by chance: a person has to ask.
            died = failed["error"] and failed["error"]["type"] == "ProcessDiedError"
            if (
                died
                and failed["name"] in expected
                and "poisoned" not in failed["name"]
                and failed["id"] not in asked_for
            ):
                world.life.control("retry", failed["id"])
                asked_for.add(failed["id"])
        state = world.life.status()
        return bool(
            state.get("status") == "idle"
            and not state["files_in_flight"]
            and stored_words(world.state) == world.known.expected()
        )

    if not wait_until(is_right, CALM_SECONDS):
        world.note(f"the store did not become what is in the source: {_difference(world)}; {world.life.status()}")
    return len(asked_for)


def _judged(world: World, prober: Prober, env: dict[str, str]) -> Iterator[str]:
    if prober.misses:
        yield f"{len(prober.misses)} of {prober.asked} searches missed a text that was there: " + "; ".join(
            f"at {miss.seconds:.1f} s {miss.name} ({miss.why})" for miss in prober.misses[:5]
        )
    yield from _burned(world)
    code = world.life.stop()
    if code != 0:
        yield f"the last stop ended with {code}"
    excess = world.endpoint.embeddings.excess()
    if excess:
        during = world.endpoint.embeddings.during
        some = "; ".join(
            f"{text[:40]!r} {count} times ({', '.join(during(text))})" for text, count in list(excess.items())[:5]
        )
        yield f"{sum(excess.values())} embeddings too many, of {len(excess)} texts: {some}"
    checked = subprocess.run(
        [sys.executable, "-m", "rag_pipeline", "store", "check"],
        cwd=ROOT, env=environment(env), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    if checked.returncode != 0:
        yield f"store check ended with {checked.returncode}: {(checked.stdout + checked.stderr)[-800:]}"


def _burned(world: World) -> Iterator[str]:
    """Yield the files that failed for what was a dependency's trouble."""
    for event in world.life.events():
        if event["event"] == "pipeline:file_failed":
            file = event["data"]["file"]
            if file["error"]["type"] in BURNING:
                yield f"{file['name']} failed with {file['error']['type']}: {file['error']['message']}"


def _account(world: World) -> None:
    texts = {text for chunks in stored(world.state).values() for text in chunks}
    with world.endpoint.lock:
        world.endpoint.embeddings.died(texts)


def _difference(world: World) -> str:
    stored, expected = stored_words(world.state), world.known.expected()
    missing = sorted(expected.keys() - stored.keys())[:5]
    more = sorted(stored.keys() - expected.keys())[:5]
    other = sorted(name for name in expected.keys() & stored.keys() if expected[name] != stored[name])[:5]
    return f"missing {missing}, too many {more}, other text {other}"


@contextmanager
def _small_disk(path: Path) -> Iterator[bool]:
    """Mount a small file system where that is allowed; return whether it was."""
    path.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = libc.mount(b"none", os.fsencode(path), b"tmpfs", 0, f"size={DISK_BYTES}".encode()) == 0
    try:
        yield mounted
    finally:
        if mounted:
            libc.umount2(os.fsencode(path), 2)  # MNT_DETACH
