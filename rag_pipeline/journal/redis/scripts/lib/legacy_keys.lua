-- Moves keys from the names that earlier versions used.
--
-- Earlier versions ordered a pipeline's files in files:ID:STATUS. A pipeline whose id ends in :STATUS has its files in
-- the same key, so only one of the two could be used. The process that claims a pipeline moves its sets. If the key of
-- its own files holds the set of a pipeline that nobody runs, it moves that one too. A running one still writes there.
local function move_set(from, to)
  if redis.pcall('TYPE', from).ok ~= 'zset' then return end
  if redis.pcall('EXISTS', to) == 0 then
    redis.pcall('RENAME', from, to)
  elseif type(redis.pcall('ZUNIONSTORE', to, 2, to, from, 'AGGREGATE', 'MAX')) == 'number' then
    redis.pcall('DEL', from)
  end
end

local function move_legacy_keys(prefix, id)
  local files = prefix .. ':files:' .. id
  for _, status in ipairs({'processing', 'completed', 'failed', 'skipped', 'deleted'}) do
    move_set(files .. ':' .. status, by_change(prefix, id, status))
    local other = string.sub(id, 1, -#status - 2)
    if other .. ':' .. status == id and redis.pcall('EXISTS', prefix .. ':owner:' .. other) == 0 then
      move_set(files, by_change(prefix, other, status))
    end
  end
end
