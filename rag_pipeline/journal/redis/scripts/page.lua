#!lua flags=no-writes
-- Returns entries after an id; the last one may exceed the limit of bytes.
-- Keys: events. Arguments: entry id, max entries, max bytes.
return page(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
