#!lua
-- Makes this run of the server a generation of the journal, if it isn't one yet.
-- Keys: identity, generations, events. Arguments: the server's run id, the identity for a new generation.
-- Returns all generations, oldest first: "<identity> <id of the last entry before it>".
local mark, run = redis.call('GET', KEYS[1]) or '', ARGV[1]
local known = string.match(mark, '^%w+')
local last = redis.call('LRANGE', KEYS[2], -1, -1)[1] or ''
if not known or string.match(last, '^%w*') ~= known then
  -- The database was emptied, or was written by a version without generations.
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
