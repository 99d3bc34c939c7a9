#!lua
-- Renews the leases of pipelines; the renewal is also their heartbeat.
-- Keys: identity, pipelines. Arguments: prefix, identity, owner's token, owner's name, lease in milliseconds, then each
-- pipeline's id and the batch it should have last.
-- Returns {'identity'} (another journal) or {'done', results}. The results are status and detail of each pipeline: those
-- of ownership(), or bare (renewed, but its state is missing).
local prefix, token = ARGV[1], ARGV[3]
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return {'identity'} end
local time, results = now(), {}
for at = 6, #ARGV, 2 do
  local id = ARGV[at]
  local status, _, detail = ownership(prefix, id, token, tonumber(ARGV[at + 1]))
  if status == 'ok' or status == 'expired' then
    redis.call('SET', prefix .. ':owner:' .. id, token .. ' ' .. ARGV[4], 'PX', ARGV[5])
    redis.call('ZADD', KEYS[2], time, id)
    status = 'ok'
    local position = redis.call('HGET', prefix .. ':pipeline:' .. id, 'position')
    if position and redis.call('EXISTS', prefix .. ':state:' .. id) == 0 then status = 'bare' end
  end
  results[#results + 1], results[#results + 2] = status, detail
end
return {'done', results}
