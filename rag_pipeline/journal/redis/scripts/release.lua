#!lua
-- Gives up the leases of pipelines, and marks the pipelines as closed. Leases of other owners are left alone.
-- Arguments: prefix, owner's token, pipeline ids.
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
