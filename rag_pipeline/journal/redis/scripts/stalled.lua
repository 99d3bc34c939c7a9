#!lua flags=no-writes
-- Returns the ids of pipelines that were not closed and have sent no heartbeat for some time.
-- Keys: pipelines. Arguments: prefix, that time in milliseconds.
local time, found = redis.call('TIME'), {}
local latest = string.format('(%.0f', time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[2])
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', latest, 'BYSCORE')) do
  if redis.pcall('HGET', ARGV[1] .. ':pipeline:' .. id, 'closed') ~= '1' then found[#found + 1] = id end
end
return found
