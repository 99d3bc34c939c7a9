"""The generations of the journal in Redis: one for each run of the server.

A server that was started anew may have lost what it had confirmed last, and so may a replica that takes the place of
its primary. Later entries have later ids, as a rule, but pipelines that are started anew too go on with the numbers of
the lost stretch. What a server calls itself since its start tells one run from the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from rag_pipeline.journal.base import Lineage, new_identity
from rag_pipeline.journal.redis.connection import Link, Script
from rag_pipeline.journal.redis.keys import Keys, position_of

_GENERATION = re.compile(r"(\w+) (\d{1,20}-\d{1,20})")

ADOPT = Script(
    """#!lua
local mark, run = redis.call('GET', KEYS[1]) or '', ARGV[1]
local known = string.match(mark, '^%w+')
local last = redis.call('LRANGE', KEYS[2], -1, -1)[1] or ''
if not known or string.match(last, '^%w*') ~= known then
  -- Emptied, or written before there were generations.
  redis.call('DEL', KEYS[2])
  if known then redis.call('RPUSH', KEYS[2], known .. ' 0-0') end
end
if not known or mark ~= known .. ' ' .. run then
  local start = '0-0'
  if redis.call('EXISTS', KEYS[3]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[3])
    for n = 1, #info, 2 do
      if info[n] == 'last-generated-id' then start = info[n + 1] end
    end
  end
  redis.call('RPUSH', KEYS[2], ARGV[2] .. ' ' .. start)
  redis.call('LTRIM', KEYS[2], -1000, -1)
  redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. run)
end
return redis.call('LRANGE', KEYS[2], 0, -1)
"""
)
"""Keys: identity, generations, events. Arguments: the server's run, the identity that a further generation is to get.
Returns what stands in generations: of each its identity and the id of the last entry before it."""


def adopt(link: Link, keys: Keys) -> Lineage:
    """Return the lineage of the journal in Redis, in which this run of the server is a generation."""
    arguments = (link.server_run, new_identity())
    return lineage_of(link.run(ADOPT, [keys.identity, keys.generations, keys.events], arguments))


def lineage_of(generations: Iterable[str]) -> Lineage:
    """Return the lineage that stands in Redis; there must be a generation."""
    parts = (match.groups() for text in generations if (match := _GENERATION.fullmatch(text)))
    return Lineage.of((identity, position_of(start)) for identity, start in parts)


def mark_of(link: Link, identity: str) -> str:
    """Return what stands in Redis while the identity is that of the run which the link is connected to."""
    return f"{identity} {link.server_run}"
