"""What the server carries out as a whole, beside the writing of batches: leases, and what is read as of one moment."""

from __future__ import annotations

from rag_pipeline.journal.redis_append import VERDICT
from rag_pipeline.journal.redis_link import Script

CLAIM = Script(
    "#!lua\n"
    + VERDICT
    + """
local prefix, token, id = ARGV[1], ARGV[3], ARGV[6]
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return {'identity'} end
local key = prefix .. ':owner:' .. id
local owner = redis.call('GET', key)
if owner and string.sub(owner, 1, #token + 1) ~= token .. ' ' then
  local beat = redis.call('ZSCORE', prefix .. ':pipelines', id) or ''
  if ARGV[7] == '' or beat ~= ARGV[7] then return {'held', owner, beat} end
end
redis.call('SET', key, token .. ' ' .. ARGV[4], 'PX', ARGV[5])
local hash = prefix .. ':pipeline:' .. id
if redis.call('HGET', hash, 'writer') ~= token then redis.call('HSET', hash, 'writer', token, 'batch', 0) end
redis.call('HSET', hash, 'closed', 0)
redis.call('ZADD', prefix .. ':pipelines', now(), id)
return {'ok'}
"""
)
"""Keys: identity. Arguments: prefix, identity, token, holder, milliseconds to live, pipeline id, and the heartbeat of
another holder that is to be taken for its last one, or nothing."""

RENEW = Script(
    "#!lua\n"
    + VERDICT
    + """
local prefix, token = ARGV[1], ARGV[3]
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return {'identity'} end
local time, verdicts = now(), {}
for at = 6, #ARGV, 2 do
  local id = ARGV[at]
  local word, _, owner = verdict(prefix, id, token, tonumber(ARGV[at + 1]))
  if word == 'ok' or word == 'expired' then
    redis.call('SET', prefix .. ':owner:' .. id, token .. ' ' .. ARGV[4], 'PX', ARGV[5])
    redis.call('ZADD', prefix .. ':pipelines', time, id)
    word = 'ok'
  end
  verdicts[#verdicts + 1], verdicts[#verdicts + 2] = word, owner
end
return {'done', verdicts}
"""
)
"""Keys: identity. Arguments: prefix, identity, token, holder, milliseconds to live, then each pipeline's id and the
batch it is expected to have."""

RELEASE = Script(
    """#!lua
local prefix, token = ARGV[1], ARGV[2]
for at = 3, #ARGV do
  local key = prefix .. ':owner:' .. ARGV[at]
  local owner = redis.call('GET', key)
  if owner and string.sub(owner, 1, #token + 1) == token .. ' ' then
    redis.call('DEL', key)
    redis.call('HSET', prefix .. ':pipeline:' .. ARGV[at], 'closed', 1)
  end
end
return 'done'
"""
)
"""Arguments: prefix, token, pipeline ids."""

_STREAM = """
local function stream(key)
  if redis.call('EXISTS', key) == 0 then return {'length', 0, 'entries-added', 0, 'last-generated-id', '0-0'} end
  local info = redis.call('XINFO', 'STREAM', key)
  local known = {}
  for n = 1, #info, 2 do
    if type(info[n + 1]) ~= 'table' then known[#known + 1], known[#known + 2] = info[n], info[n + 1] end
  end
  return known
end
"""

LOOK = Script(
    "#!lua flags=no-writes\n"
    + _STREAM
    + """
local prefix, pipelines = ARGV[1], {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local state = redis.call('HGETALL', prefix .. ':state:' .. id)
  local shown = redis.call('HGET', prefix .. ':state:' .. id, 'position')
  local last = redis.call('HGET', prefix .. ':pipeline:' .. id, 'position')
  local since = {}
  if shown and last and last ~= shown then
    since = redis.call('XRANGE', KEYS[1], '(' .. shown, last, 'COUNT', 10000)
  end
  if #state > 0 then pipelines[#pipelines + 1] = {id, state, since} end
end
return {redis.call('GET', KEYS[2]) or '', stream(KEYS[1]), pipelines, redis.call('LRANGE', KEYS[4], 0, -1)}
"""
)
"""Keys: events, identity, pipelines, generations. Arguments: prefix."""

FOLLOW = Script(
    "#!lua flags=no-writes\n"
    + _STREAM
    + """
local after, mark, generations = ARGV[1], redis.call('GET', KEYS[2]) or '', {}
if mark ~= ARGV[3] then generations = redis.call('LRANGE', KEYS[3], 0, -1) end
return {mark, stream(KEYS[1]), #redis.call('XRANGE', KEYS[1], after, after),
  redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', ARGV[2]), generations}
"""
)
"""Keys: events, identity, generations. Arguments: entry id, most entries, what stands in identity as far as is known:
the generations are returned where that is not so."""

SAVED = Script(
    """#!lua flags=no-writes
local pipelines = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local files, recent, rows = ARGV[1] .. ':files:' .. id, ARGV[1] .. ':recent:' .. id .. ':', {}
  for _, key in ipairs(redis.call('ZRANGE', files .. ':processing', 0, -1)) do
    rows[#rows + 1] = redis.call('HGET', files, key)
  end
  pipelines[#pipelines + 1] = {id, redis.call('HGETALL', ARGV[1] .. ':pipeline:' .. id),
    redis.call('LRANGE', recent .. 'completed', 0, -1), redis.call('LRANGE', recent .. 'failed', 0, -1),
    redis.call('LRANGE', recent .. 'skipped', 0, -1), rows,
    redis.call('ZRANGE', ARGV[1] .. ':attempts:' .. id, 0, -1, 'WITHSCORES'),
    redis.call('ZRANGE', files .. ':completed', 0, -1), redis.call('ZRANGE', files .. ':failed', 0, -1),
    redis.call('ZRANGE', files .. ':skipped', 0, -1), redis.call('ZRANGE', files .. ':deleted', 0, -1)}
end
return pipelines
"""
)
"""Keys: pipelines. Arguments: prefix."""
