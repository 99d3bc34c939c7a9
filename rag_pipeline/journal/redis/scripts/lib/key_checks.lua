-- Whether keys can be written, checked before anything is written: Redis does not undo a script that fails halfway.

-- Returns the reason why the key can't be written with these commands, nil if it can.
local function key_error(key, kind, commands)
  local found = redis.pcall('TYPE', key)
  found = found.ok or 'none'
  if found ~= 'none' and found ~= kind then return 'WRONGTYPE ' .. key .. ' is a ' .. found .. ', not a ' .. kind end
  for command in string.gmatch(commands, '%S+') do
    if not redis.acl_check_cmd(command, key, '0', '0', '0') then
      return 'NOPERM the user may not run ' .. command .. ' on ' .. key
    end
  end
end

-- The status 'warned' stands for the completed files with warnings.
local function by_change(prefix, id, status)
  return prefix .. ':by-change-' .. status .. ':' .. id
end

-- Returns the reason why the keys of a pipeline can't be written, nil if they can.
local function pipeline_error(prefix, id)
  local why = key_error(prefix .. ':owner:' .. id, 'string', 'GET SET DEL')
    or key_error(prefix .. ':pipeline:' .. id, 'hash', 'HSET HSETNX HGET HMGET HINCRBY')
    or key_error(prefix .. ':state:' .. id, 'hash', 'HSET EXISTS')
    or key_error(prefix .. ':files:' .. id, 'hash', 'HSET HGET HDEL HLEN')
    or key_error(prefix .. ':attempts:' .. id, 'zset', 'ZADD ZREM ZREMRANGEBYRANK')
  for _, status in ipairs({'processing', 'completed', 'failed', 'skipped', 'deleted', 'warned'}) do
    why = why or key_error(by_change(prefix, id, status), 'zset', 'ZADD ZREM ZRANGE')
  end
  for _, status in ipairs({'completed', 'failed', 'skipped'}) do
    why = why or key_error(prefix .. ':recent:' .. id .. ':' .. status, 'list', 'RPUSH LTRIM LREM DEL')
  end
  return why
end
