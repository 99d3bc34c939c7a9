#!lua
-- Takes the leases of pipelines for one owner.
-- Keys: identity, pipelines. Arguments: prefix, identity, owner's token, owner's name, lease in milliseconds, then each
-- pipeline's id and a heartbeat of another owner or ''. An owner whose last heartbeat is that one counts as dead.
-- Returns {'identity'} (another journal), {'refused', reason} or {'done', results}. Each result is {'ok'},
-- {'held', owner, last heartbeat} or {'broken', reason}.
local prefix, token = ARGV[1], ARGV[3]
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return {'identity'} end
local refused = key_error(KEYS[2], 'zset', 'ZADD ZSCORE')
if refused then return {'refused', refused} end
local function claim(id, last_beat)
  local key = prefix .. ':owner:' .. id
  local owner, held = redis.pcall('GET', key), nil
  if type(owner) == 'string' and string.sub(owner, 1, #token + 1) ~= token .. ' ' then
    local beat = redis.call('ZSCORE', KEYS[2], id) or 'none'
    if last_beat == '' or beat ~= last_beat then held = {'held', owner, beat} end
  end
  if not held then move_legacy_keys(prefix, id) end
  local why = pipeline_error(prefix, id)
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
local results = {}
for at = 6, #ARGV, 2 do results[#results + 1] = claim(ARGV[at], ARGV[at + 1]) end
if refused then return {'refused', refused} end
return {'done', results}
