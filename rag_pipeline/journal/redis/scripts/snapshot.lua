#!lua flags=no-writes
-- Returns what a reader needs to start, all as of one moment.
-- Keys: events, identity, pipelines, generations. Arguments: prefix.
-- Returns {identity, stream info, pipelines, generations}. Each pipeline is {id, its last status, its entries since}.
local function is_of(entry, id)
  for n = 1, #entry[2], 2 do
    if entry[2][n] == 'pipeline_id' then return entry[2][n + 1] == id end
  end
end
local function entries_between(after, last, id)
  local found = {}
  for _ = 1, 20 do
    local part = redis.pcall('XRANGE', KEYS[1], '(' .. after, last, 'COUNT', 500)
    if part.err or #part == 0 then break end
    for _, entry in ipairs(part) do
      if is_of(entry, id) then found[#found + 1] = entry end
      after = entry[1]
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
    local since = {}
    if type(shown) == 'string' and type(last) == 'string' and last ~= shown then
      since = entries_between(shown, last, id)
    end
    pipelines[#pipelines + 1] = {id, state, since}
  end
end
return {redis.call('GET', KEYS[2]) or '', stream_info(KEYS[1]), pipelines, redis.call('LRANGE', KEYS[4], 0, -1)}
