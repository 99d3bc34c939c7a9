#!lua flags=no-writes
-- Returns what XINFO STREAM returns, without the entries in it.
-- Keys: events.
return stream_info(KEYS[1])
