"""What the server carries out as a whole, beside the writing of batches: leases, and what is read as of one moment.

One pipeline whose keys can't be used never stands in the way of the others.
"""

from __future__ import annotations

from rag_pipeline.journal.redis.append import FAULT, VERDICT
from rag_pipeline.journal.redis.connection import Script

# Earlier versions had the order of a pipeline's files at files:ID:STATUS, where a pipeline whose id ends like that has
# its files: of the two one could not be used. The process that claims a pipeline moves them, and makes room for its own
# files if nobody runs the pipeline whose order stands in their place. One that runs still writes there.
_TAKE_OVER = """
local statuses = {'processing', 'completed', 'failed', 'skipped', 'deleted'}
local function move(from, to)
  if redis.pcall('TYPE', from).ok ~= 'zset' then return end
  if redis.pcall('EXISTS', to) == 0 then
    redis.pcall('RENAME', from, to)
  elseif type(redis.pcall('ZUNIONSTORE', to, 2, to, from, 'AGGREGATE', 'MAX')) == 'number' then
    redis.pcall('DEL', from)
  end
end
local function take_over(prefix, id)
  local files = prefix .. ':files:' .. id
  for _, status in ipairs(statuses) do
    move(files .. ':' .. status, by_change(prefix, id, status))
    local other = string.sub(id, 1, -#status - 2)
    if other .. ':' .. status == id and redis.pcall('EXISTS', prefix .. ':owner:' .. other) == 0 then
      move(files, by_change(prefix, other, status))
    end
  end
end
"""

CLAIM = Script(
    "#!lua\n"
    + VERDICT
    + FAULT
    + _TAKE_OVER
    + """
local prefix, token = ARGV[1], ARGV[3]
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return {'identity'} end
local refused = unfit(KEYS[2], 'zset', 'ZADD ZSCORE')
if refused then return {'refused', refused} end
local function claim(id, last_beat)
  local key = prefix .. ':owner:' .. id
  local owner, held = redis.pcall('GET', key), nil
  if type(owner) == 'string' and string.sub(owner, 1, #token + 1) ~= token .. ' ' then
    local beat = redis.call('ZSCORE', KEYS[2], id) or 'none'
    if last_beat == '' or beat ~= last_beat then held = {'held', owner, beat} end
  end
  if not held then take_over(prefix, id) end
  local why = fault(prefix, id)
  if why and string.sub(why, 1, 6) == 'NOPERM' then refused = why end
  if why then return {'broken', why} end
  if held then return held end
  redis.call('SET', key, token .. ' ' .. ARGV[4], 'PX', ARGV[5])
  local hash = prefix .. ':pipeline:' .. id
  if redis.call('HGET', hash, 'writer') ~= token then
    redis.call('HSET', hash, 'writer', token, 'batch', 0, 'done', 0)
  end
  redis.call('HSET', hash, 'closed', 0)
  redis.call('ZADD', KEYS[2], now(), id)
  return {'ok'}
end
local answers = {}
for at = 6, #ARGV, 2 do answers[#answers + 1] = claim(ARGV[at], ARGV[at + 1]) end
if refused then return {'refused', refused} end
return {'done', answers}
"""
)
"""Keys: identity, pipelines. Arguments: prefix, identity, token, holder, milliseconds to live, then each pipeline's id
and the heartbeat of another holder that is to be taken for its last one, or nothing."""

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
    redis.call('ZADD', KEYS[2], time, id)
    word = 'ok'
    local position = redis.call('HGET', prefix .. ':pipeline:' .. id, 'position')
    if position and redis.call('EXISTS', prefix .. ':state:' .. id) == 0 then word = 'bare' end
  end
  verdicts[#verdicts + 1], verdicts[#verdicts + 2] = word, owner
end
return {'done', verdicts}
"""
)
"""Keys: identity, pipelines. Arguments: prefix, identity, token, holder, milliseconds to live, then each pipeline's id
and the batch it is expected to have. A further verdict: bare (all is well, but nothing shows the pipeline's state)."""

RELEASE = Script(
    """#!lua
local prefix, token = ARGV[1], ARGV[2]
for at = 3, #ARGV do
  local key = prefix .. ':owner:' .. ARGV[at]
  local owner = redis.pcall('GET', key)
  if type(owner) == 'string' and string.sub(owner, 1, #token + 1) == token .. ' ' then
    redis.call('DEL', key)
    redis.pcall('HSET', prefix .. ':pipeline:' .. ARGV[at], 'closed', 1)
  end
end
return 'done'
"""
)
"""Arguments: prefix, token, pipeline ids."""

STALLED = Script(
    """#!lua flags=no-writes
local time, found = redis.call('TIME'), {}
local latest = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2])
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', latest, 'BYSCORE')) do
  if redis.pcall('HGET', ARGV[1] .. ':pipeline:' .. id, 'closed') ~= '1' then found[#found + 1] = id end
end
return found
"""
)
"""Keys: pipelines. Arguments: prefix, milliseconds of silence. Returns the ids of those that were not closed."""

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
local function page(key, after, most, most_bytes)
  local found, size = {}, 0
  repeat
    local part = redis.call('XRANGE', key, '(' .. after, '+', 'COUNT', math.min(32, most - #found))
    for _, entry in ipairs(part) do
      found[#found + 1], after = entry, entry[1]
      for _, text in ipairs(entry[2]) do size = size + #text end
      if size >= most_bytes then return found end
    end
  until #part < 32 or #found >= most
  return found
end
"""

STREAM = Script(
    "#!lua flags=no-writes\n"
    + _STREAM
    + """
return stream(KEYS[1])
"""
)
"""Keys: events. Returns what ``XINFO STREAM`` tells, without the entries in it."""

PAGE = Script(
    "#!lua flags=no-writes\n"
    + _STREAM
    + """
return page(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
"""
)
"""Keys: events. Arguments: entry id, most entries, most bytes, which the last entry may go over."""

LOOK = Script(
    "#!lua flags=no-writes\n"
    + _STREAM
    + """
local function is_of(entry, id)
  for n = 1, #entry[2], 2 do
    if entry[2][n] == 'pipeline_id' then return entry[2][n + 1] == id end
  end
end
local function since(shown, last, id)
  local found = {}
  for _ = 1, 20 do
    local part = redis.pcall('XRANGE', KEYS[1], '(' .. shown, last, 'COUNT', 500)
    if part.err or #part == 0 then break end
    for _, entry in ipairs(part) do
      if is_of(entry, id) then found[#found + 1] = entry end
      shown = entry[1]
    end
  end
  return found
end
local prefix, pipelines = ARGV[1], {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  local state = redis.pcall('HGETALL', prefix .. ':state:' .. id)
  local shown = redis.pcall('HGET', prefix .. ':state:' .. id, 'position')
  local last = redis.pcall('HGET', prefix .. ':pipeline:' .. id, 'position')
  if not state.err and #state > 0 then
    local later = {}
    if type(shown) == 'string' and type(last) == 'string' and last ~= shown then later = since(shown, last, id) end
    pipelines[#pipelines + 1] = {id, state, later}
  end
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
if mark ~= ARGV[4] then generations = redis.call('LRANGE', KEYS[3], 0, -1) end
return {mark, stream(KEYS[1]), #redis.call('XRANGE', KEYS[1], after, after),
  page(KEYS[1], after, tonumber(ARGV[2]), tonumber(ARGV[3])), generations}
"""
)
"""Keys: events, identity, generations. Arguments: entry id, most entries, most bytes, what stands in identity as far as
is known: the generations are returned where that is not so."""

SAVED = Script(
    """#!lua flags=no-writes
local pipelines = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local files, recent, why = ARGV[1] .. ':files:' .. id, ARGV[1] .. ':recent:' .. id .. ':', nil
  -- Of a pipeline that an earlier version runs, the order is where that has it.
  local function by_change(status)
    local key, before = ARGV[1] .. ':by-change-' .. status .. ':' .. id, files .. ':' .. status
    if redis.pcall('EXISTS', key) == 0 and redis.pcall('TYPE', before).ok == 'zset' then return before end
    return key
  end
  local function read(...)
    local answer = redis.pcall(...)
    if type(answer) == 'table' and answer.err then
      why = answer.err
      return {}
    end
    return answer
  end
  local rows = {}
  for _, key in ipairs(read('ZRANGE', by_change('processing'), 0, -1)) do
    local row = read('HGET', files, key)
    if type(row) == 'string' then rows[#rows + 1] = row end
  end
  local found = {id, read('HGETALL', ARGV[1] .. ':pipeline:' .. id),
    read('LRANGE', recent .. 'completed', 0, -1), read('LRANGE', recent .. 'failed', 0, -1),
    read('LRANGE', recent .. 'skipped', 0, -1), rows,
    read('ZRANGE', ARGV[1] .. ':attempts:' .. id, 0, -1, 'WITHSCORES'),
    read('ZRANGE', by_change('completed'), 0, -1), read('ZRANGE', by_change('failed'), 0, -1),
    read('ZRANGE', by_change('skipped'), 0, -1), read('ZRANGE', by_change('deleted'), 0, -1)}
  pipelines[#pipelines + 1] = why and {id, why} or found
end
return pipelines
"""
)
"""Keys: pipelines. Arguments: prefix. Returns of each pipeline its id and what is known, or the error instead."""
