#!lua
-- Writes a batch of events.
-- Keys: events, identity, count. Arguments: prefix, identity, owner's token, batch number, max entries, max files,
-- '1' to check keys and permissions first, number of pipelines, each pipeline's id and the batch it should have last,
-- then 18 for each item.
-- Returns {'identity'} (another journal), {'refused', reason} or {'done', results, entry ids}. The results are status
-- and detail of each pipeline: those of ownership(), written (by an earlier copy of this batch), or torn (an earlier
-- copy failed halfway; the detail is the number of its items that were sent).
--
-- Why a script and not MULTI: what is written depends on what is there. A batch whose answer was lost may still be in
-- the input buffer of a frozen server, and run after the sender has reconnected. Only the server can tell then that it
-- was written already, or that another process owns the pipeline now. And a file's row needs the id of its entry. For
-- the append-only file and for replicas a script is one transaction.
--
-- '#!lua' makes a server that is short of memory or disk refuse the script at its start, not halfway. It can still fail
-- halfway at a key of another type, or at a command that the user may not run. So keys and permissions are checked
-- first whenever they may have changed. And Redis does not undo a failed script, so each pipeline gets the batch's
-- number first, then with each entry the number of items sent, and the number again as 'done' at the end. In between a
-- batch is torn: what was sent is not written again, the rest comes with another batch, and a status repairs the files.
local prefix, token, batch, max_files = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])
local checks = ARGV[7] == '1'
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return {'identity'} end
if checks then
  local why = key_error(KEYS[1], 'stream', 'XADD XTRIM EXISTS XREVRANGE') or key_error(KEYS[3], 'string', 'GET SET DEL')
    or key_error(KEYS[2], 'string', 'DEL')
  if why then return {'refused', why} end
end

-- Each entry has the number of numbered events up to itself.
local count = tonumber(redis.call('GET', KEYS[3]) or '')
if redis.call('EXISTS', KEYS[1]) == 0 then
  if (count or 0) > 0 then
    -- The stream was deleted: positions start over, so this is another journal now.
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

local pipelines, results, at = {}, {}, 9
for n = 1, tonumber(ARGV[8]) do
  local id = ARGV[at]
  local status, last, detail, done, sent = ownership(prefix, id, token, tonumber(ARGV[at + 1]))
  if (status == 'ok' or status == 'expired') and last >= batch then
    status = 'written'
    if done < batch then status, detail = 'torn', sent end
  end
  if status == 'ok' and checks then
    local why = pipeline_error(prefix, id)
    if why and string.sub(why, 1, 6) == 'NOPERM' then return {'refused', why} end
    if why then status, detail = 'broken', why end
  end
  pipelines[n] = {id = id, ok = status == 'ok', set = {}, hash = prefix .. ':pipeline:' .. id,
    files = prefix .. ':files:' .. id, recent = prefix .. ':recent:' .. id .. ':',
    attempts = prefix .. ':attempts:' .. id, forgotten = {}}
  results[n * 2 - 1], results[n * 2] = status, detail
  at = at + 2
end
for _, p in ipairs(pipelines) do
  if p.ok then redis.call('HSET', p.hash, 'batch', ARGV[4], 'sent', 0) end
end

-- A file's row: status, entry id, entry id at its start, time of the change, record; separated by spaces.

local function remove_row(p, key)
  local row = redis.call('HGET', p.files, key)
  if row then
    local status = string.match(row, '^%a+') or ''
    redis.call('ZREM', by_change(prefix, p.id, status), key)
    if status == 'completed' then redis.call('ZREM', by_change(prefix, p.id, 'warned'), key) end
    redis.call('HDEL', p.files, key)
  end
end

local function is_processing(row)
  return row and string.sub(row, 1, 11) == 'processing '
end

local function put_row(p, key, status, id, rest, warned)
  local ms, seq = string.match(id, '(%d+)-(%d+)')
  local score = string.format('%.0f', ms * 4096 + math.min(seq, 4095))
  redis.call('HSET', p.files, key, status .. ' ' .. id .. ' ' .. rest)
  redis.call('ZADD', by_change(prefix, p.id, status), score, key)
  if warned == '1' then redis.call('ZADD', by_change(prefix, p.id, 'warned'), score, key) end
end

local max_recent = {completed = 10, failed = 5, skipped = 5}

local function add_recent(p, status, record)
  local max = max_recent[status]
  if max then
    redis.call('RPUSH', p.recent .. status, record)
    redis.call('LTRIM', p.recent .. status, -max, -1)
  end
end

-- A file is in one list, by its newest outcome. Otherwise a file that keeps failing would push the others out.
local function remove_recent(p, row)
  local status, record = string.match(row or '', '^(%a+) %S+ %S+ %S+ (.*)$')
  if max_recent[status] then redis.call('LREM', p.recent .. status, -1, record) end
end

local function note_attempt(p, key, status, attempt)
  redis.call('ZREM', p.attempts, key)
  if status == 'failed' then
    -- The score is the failure's number, with the attempt's number in the low 20 bits: ordered by failure.
    local nth = redis.call('HINCRBY', p.hash, 'failures', 1)
    redis.call('ZADD', p.attempts, string.format('%.0f', nth * 1048576 + attempt), key)
    redis.call('ZREMRANGEBYRANK', p.attempts, 0, -10001)
  end
end

-- Updates the row of an event's file.
local function change_file(p, name, key, other, status, id, changed, record, attempt, warned)
  local row, started, started_as = redis.call('HGET', p.files, key), id, nil
  remove_recent(p, row)
  if is_processing(row) then started_as = key end
  if status == 'processing' then
    if started_as and name ~= 'pipeline:file_processing_started' then
      started = string.match(row, '^%a+ %S+ (%S+)') or id
    end
  else
    -- A file may have been started by its name, with its id known only at its end.
    if not started_as and other ~= '' and is_processing(redis.call('HGET', p.files, other)) then started_as = other end
    if started_as then remove_row(p, started_as) end
    note_attempt(p, started_as or key, status, math.min(tonumber(attempt) or 1, 1048575))
    add_recent(p, status, record)
  end
  remove_row(p, key)
  put_row(p, key, status, id, started .. ' ' .. changed .. ' ' .. record, warned)
end

-- Writes a row from a status, for a file whose events may be missing.
local function repair_file(p, key, status, id, changed, record, warned)
  add_recent(p, status, record)
  local old = p.forgotten[key] or redis.call('HGET', p.files, key)
  local same = old and string.sub(old, 1, #status + 1) == status .. ' ' and string.sub(old, -#record) == record
  local old_id, started, since = string.match(same and old or '', '^%a+ (%d+%-%d+) (%S+) (%S+) ')
  if old_id then
    -- An unchanged row keeps its position. Files in flight get new start positions, in the order of the status.
    changed = (status == 'processing' and id or started) .. ' ' .. since
    id = old_id
  else
    changed = id .. ' ' .. changed
  end
  remove_row(p, key)
  put_row(p, key, status, id, changed .. ' ' .. record, warned)
end

local ids, last_id, repaired = {}, '0-0', 0
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
        remove_row(p, k)
      end
    end
    redis.call('DEL', p.recent .. 'completed', p.recent .. 'failed', p.recent .. 'skipped')
  elseif p.ok and name == 'row' then
    -- It has no entry, so it gets a position of its own, just before the entries of this millisecond.
    local ms = tonumber(string.match(now(), '%d+')) - 1
    repaired = repaired + 1
    repair_file(p, key, status, string.format('%.0f-%d', ms, 1000000 + repaired), changed, record, ARGV[at + 17])
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
      change_file(p, name, key, other, status, id, changed, record, ARGV[at + 16], ARGV[at + 17])
      p.rows = true
    end
  end
  ids[#ids + 1] = id
  at = at + 18
end

-- Removes the oldest finished files over the limit, at most 1,000 at once.
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
    remove_row(p, oldest)
    redis.call('ZREM', set, oldest)  -- its row may have another status, after a version that used other keys
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
return {'done', results, ids}
