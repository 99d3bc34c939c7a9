"""How a batch is written: a script that the server carries out as a whole, which checks first and then writes.

Not MULTI: what is written depends on what is there at that moment. A batch whose answer was lost may still lie in the
buffer of a server that stands still, and is carried out after the sender has long connected anew; only the server can
tell then that it was written already, or that the pipeline has gone to another process. And a file's row needs the id
that its entry got. For the append-only file and for replicas a script is one transaction.

``#!lua`` makes the server refuse a script at its start when memory is short or its disk is full, not halfway. What
can fail halfway is a command on a key that somebody has put to another use, or one that the user may not run. So the
script looks at keys and permissions first wherever that may have changed. And since Redis takes nothing back of a
script that fails, each pipeline has the batch's number before anything else is written, with each entry which item was
``sent``, and the number again as ``done`` after everything. A batch in between is torn: what was sent of it is not
written again, the rest comes with another batch, and a status sets right what is known of files.
"""

from __future__ import annotations

from rag_pipeline.journal.redis.connection import Script

# Verdicts on a pipeline: ok · written (by an earlier copy of this batch) · torn (by one that failed; with the item that
# was sent last) · lost (another process has it) · expired (nobody has it) · behind (the server has forgotten what it
# had confirmed) · broken (keys of the pipeline can't be used).
VERDICT = """
local function verdict(prefix, id, token, expected)
  local owner = redis.pcall('GET', prefix .. ':owner:' .. id)
  local mark = redis.pcall('HMGET', prefix .. ':pipeline:' .. id, 'writer', 'batch', 'done', 'sent')
  if type(owner) == 'table' then return 'broken', 0, owner.err, 0 end
  if mark.err then return 'broken', 0, mark.err, 0 end
  local batch, done = tonumber(mark[2] or ''), tonumber(mark[3] or '') or 0
  if owner and string.sub(owner, 1, #token + 1) ~= token .. ' ' then return 'lost', 0, owner, 0 end
  if mark[1] and mark[1] ~= token and not owner then return 'lost', 0, '', 0 end
  if mark[1] ~= token or not batch or batch < expected then return 'behind', 0, '', 0 end
  if not owner then return 'expired', batch, '', done, mark[4] or '0' end
  return 'ok', batch, owner, done, mark[4] or '0'
end
local function now()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
"""

# Why a key, or those of a pipeline, can't be written to; nil if they can.
FAULT = """
local function unfit(key, kind, commands)
  local found = redis.pcall('TYPE', key)
  found = found.ok or 'none'
  if found ~= 'none' and found ~= kind then return 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. kind end
  for command in string.gmatch(commands, '%S+') do
    if not redis.acl_check_cmd(command, key, '0', '0', '0') then
      return 'NOPERM the user may not run ' .. command .. ' on ' .. key
    end
  end
end
local function by_change(prefix, id, status)
  return prefix .. ':by-change-' .. status .. ':' .. id
end
local function fault(prefix, id)
  local why = unfit(prefix .. ':owner:' .. id, 'string', 'GET SET DEL')
    or unfit(prefix .. ':pipeline:' .. id, 'hash', 'HSET HSETNX HGET HMGET HINCRBY')
    or unfit(prefix .. ':state:' .. id, 'hash', 'HSET EXISTS')
    or unfit(prefix .. ':files:' .. id, 'hash', 'HSET HGET HDEL HLEN')
    or unfit(prefix .. ':attempts:' .. id, 'zset', 'ZADD ZREM ZREMRANGEBYRANK')
  for _, status in ipairs({'processing', 'completed', 'failed', 'skipped', 'deleted'}) do
    why = why or unfit(by_change(prefix, id, status), 'zset', 'ZADD ZREM ZRANGE')
  end
  for _, status in ipairs({'completed', 'failed', 'skipped'}) do
    why = why or unfit(prefix .. ':recent:' .. id .. ':' .. status, 'list', 'RPUSH LTRIM LREM DEL')
  end
  return why
end
"""

APPEND = Script(
    "#!lua\n"
    + VERDICT
    + FAULT
    + """
local prefix, token, batch, max_files = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local checks = ARGV[7] == '1'
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return {'identity'} end
if checks then
  local why = unfit(KEYS[1], 'stream', 'XADD XTRIM EXISTS XREVRANGE') or unfit(KEYS[3], 'string', 'GET SET DEL')
    or unfit(KEYS[2], 'string', 'DEL')
  if why then return {'refused', why} end
end

local count = tonumber(redis.call('GET', KEYS[3]) or '')
if redis.call('EXISTS', KEYS[1]) == 0 then
  if (count or 0) > 0 then
    -- The stream has vanished: positions start over, so this is another journal from here on.
    redis.call('DEL', KEYS[2], KEYS[3])
    return {'identity'}
  end
elseif not count then
  for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)) do
    for n = 1, #entry[2], 2 do
      if entry[2][n] == 'count' then count = tonumber(entry[2][n + 1]) end
    end
  end
end
count = count or 0

local pipelines, verdicts, at = {}, {}, 9
for n = 1, tonumber(ARGV[8]) do
  local id = ARGV[at]
  local word, mark, owner, done, sent = verdict(prefix, id, token, tonumber(ARGV[at + 1]))
  if (word == 'ok' or word == 'expired') and mark >= batch then
    word = 'written'
    if done < batch then word, owner = 'torn', sent end
  end
  if word == 'ok' and checks then
    local why = fault(prefix, id)
    if why and string.sub(why, 1, 6) == 'NOPERM' then return {'refused', why} end
    if why then word, owner = 'broken', why end
  end
  pipelines[n] = {id = id, ok = word == 'ok', set = {}, hash = prefix .. ':pipeline:' .. id,
    files = prefix .. ':files:' .. id, recent = prefix .. ':recent:' .. id .. ':',
    attempts = prefix .. ':attempts:' .. id, forgotten = {}}
  verdicts[n * 2 - 1], verdicts[n * 2] = word, owner
  at = at + 2
end
for _, p in ipairs(pipelines) do
  if p.ok then redis.call('HSET', p.hash, 'batch', ARGV[4], 'sent', 0) end
end

local function forget(p, key)
  local row = redis.call('HGET', p.files, key)
  if row then
    redis.call('ZREM', by_change(prefix, p.id, string.match(row, '^%a+') or ''), key)
    redis.call('HDEL', p.files, key)
  end
end

local function is_processing(row)
  return row and string.sub(row, 1, 11) == 'processing '
end

local function put_row(p, key, status, id, rest)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  redis.call('HSET', p.files, key, status .. ' ' .. id .. ' ' .. rest)
  redis.call('ZADD', by_change(prefix, p.id, status), string.format('%.0f', ms * 4096 + math.min(seq, 4095)), key)
end

local most_recent = {completed = 10, failed = 5, skipped = 5}

local function note_recent(p, status, record)
  local most = most_recent[status]
  if most then
    redis.call('RPUSH', p.recent .. status, record)
    redis.call('LTRIM', p.recent .. status, -most, -1)
  end
end

-- A file is in one list, by its newest outcome. Otherwise a file that keeps failing would push the others out.
local function leave_recent(p, row)
  local status, record = string.match(row or '', '^(%a+) %S+ %S+ %S+ (.*)$')
  if most_recent[status] then redis.call('LREM', p.recent .. status, -1, record) end
end

local function note_attempt(p, key, status, attempt)
  redis.call('ZREM', p.attempts, key)
  if status == 'failed' then
    -- Which failure it was, and in the low bits the number of the attempt: ordered by the one, and both in one set.
    local nth = redis.call('HINCRBY', p.hash, 'failures', 1)
    redis.call('ZADD', p.attempts, string.format('%.0f', nth * 1048576 + attempt), key)
    redis.call('ZREMRANGEBYRANK', p.attempts, 0, -10001)
  end
end

local function change(p, name, key, other, status, id, changed, record, attempt)
  local row, began, begun = redis.call('HGET', p.files, key), id, nil
  leave_recent(p, row)
  if is_processing(row) then begun = key end
  if status == 'processing' then
    if begun and name ~= 'pipeline:file_processing_started' then
      began = string.match(row, '^%a+ %S+ (%S+)') or id
    end
  else
    -- A file may have been started by its name, and be known by its id only when it ends.
    if not begun and other ~= '' and is_processing(redis.call('HGET', p.files, other)) then begun = other end
    if begun then forget(p, begun) end
    note_attempt(p, begun or key, status, math.min(tonumber(attempt) or 1, 1048575))
    note_recent(p, status, record)
  end
  forget(p, key)
  put_row(p, key, status, id, began .. ' ' .. changed .. ' ' .. record)
end

local function set_right(p, key, status, id, changed, record)
  note_recent(p, status, record)
  local old = p.forgotten[key] or redis.call('HGET', p.files, key)
  local same = old and string.sub(old, 1, #status + 1) == status .. ' ' and string.sub(old, -#record) == record
  local place, began, since = string.match(same and old or '', '^%a+ (%d+%-%d+) (%S+) (%S+) ')
  if place then
    -- The row is unchanged and keeps its place. Files in flight get new start positions, in the order of the state.
    changed = (status == 'processing' and id or began) .. ' ' .. since
    id = place
  else
    changed = id .. ' ' .. changed
  end
  forget(p, key)
  put_row(p, key, status, id, changed .. ' ' .. record)
end

local ids, last_id, rows_before = {}, '0-0', 0
while at <= #ARGV do
  local p = pipelines[tonumber(ARGV[at])]
  local name, epoch, seq, changed, numbered = ARGV[at + 1], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  local text, fields, own, totals = ARGV[at + 8], ARGV[at + 9], ARGV[at + 10], ARGV[at + 11]
  local key, other, status, record = ARGV[at + 12], ARGV[at + 13], ARGV[at + 14], ARGV[at + 15]
  local id = ''
  if p.ok and name == 'reset' then
    if changed == 'files too' then
      for _, k in ipairs(redis.call('ZRANGE', by_change(prefix, p.id, 'processing'), 0, -1)) do
        p.forgotten[k] = redis.call('HGET', p.files, k)
        forget(p, k)
      end
    end
    redis.call('DEL', p.recent .. 'completed', p.recent .. 'failed', p.recent .. 'skipped')
  elseif p.ok and name == 'row' then
    -- It stands for no entry: a place of its own, just before those of this moment.
    local ms = tonumber(string.match(now(), '%d+')) - 1
    rows_before = rows_before + 1
    set_right(p, key, status, string.format('%.0f-%d', ms, 1000000 + rows_before), changed, record)
    p.rows = true
  elseif p.ok then
    if numbered == '1' then count = count + 1 end
    local entry = {'name', name, 'namespaces', ARGV[at + 2], 'pipeline_id', p.id, 'pipeline_type', ARGV[at + 3],
      'epoch', epoch, 'seq', seq, 'at', changed, 'numbered', numbered, 'count', count, 'text', text}
    id = redis.call('XADD', KEYS[1], '*', unpack(entry))
    last_id = id
    redis.call('HSET', p.hash, 'sent', #ids + 1, 'position', id, 'epoch', epoch, 'seq', seq)
    if not p.known then redis.call('HSETNX', p.hash, 'since', changed) end
    p.known, p.set.type = true, ARGV[at + 3]
    if numbered == '1' then p.set.active = changed end
    if fields ~= '' then p.set.fields, p.set.own, p.set.active = fields, own, '' end
    if totals ~= '' then p.set.totals = totals end
    if name == 'pipeline:status' then
      entry[#entry + 1], entry[#entry + 2] = 'position', id
      p.state = entry
    end
    if key ~= '' then
      change(p, name, key, other, status, id, changed, record, ARGV[at + 16])
      p.rows = true
    end
  end
  ids[#ids + 1] = id
  at = at + 17
end

local function prune(p)
  local over = math.min(redis.call('HLEN', p.files) - max_files, 1000)
  while over > 0 do
    local oldest, lowest, set
    for _, status in ipairs({'completed', 'skipped', 'deleted', 'failed'}) do
      local key = by_change(prefix, p.id, status)
      local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
      if head[1] and (not lowest or tonumber(head[2]) < lowest) then
        oldest, lowest, set = head[1], tonumber(head[2]), key
      end
    end
    if not oldest then return end
    forget(p, oldest)
    redis.call('ZREM', set, oldest)  -- its row may say another status, after a version that used other keys
    over = over - 1
  end
end

if last_id ~= '0-0' then
  redis.call('SET', KEYS[3], count)
  redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ARGV[5])
end
for _, p in ipairs(pipelines) do
  if p.ok then
    if p.state then redis.call('HSET', prefix .. ':state:' .. p.id, unpack(p.state)) end
    if p.rows then prune(p) end
    local set = {'done', ARGV[4]}
    for field, value in pairs(p.set) do set[#set + 1], set[#set + 2] = field, value end
    redis.call('HSET', p.hash, unpack(set))
  end
end
return {'done', verdicts, ids}
"""
)
"""Keys: events, identity, count. Arguments: prefix, identity, token, batch, most entries, most files, 1 to look at keys
and permissions first, the number of pipelines, each pipeline's id and the batch it is expected to have, then 17 for
each item."""
