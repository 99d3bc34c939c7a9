#!lua flags=no-writes
-- Returns the entries after an id, and what tells whether entries are missing, all as of one moment.
-- Keys: events, identity, generations. Arguments: entry id, max entries, max bytes, the known identity.
-- Returns {identity, stream info, 1 if the entry itself exists, entries, generations}. The generations are left out
-- unless the identity has changed.
local after, mark, generations = ARGV[1], redis.call('GET', KEYS[2]) or '', {}
if mark ~= ARGV[4] then generations = redis.call('LRANGE', KEYS[3], 0, -1) end
return {mark, stream_info(KEYS[1]), #redis.call('XRANGE', KEYS[1], after, after),
  page(KEYS[1], after, tonumber(ARGV[2]), tonumber(ARGV[3])), generations}
