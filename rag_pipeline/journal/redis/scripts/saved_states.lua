#!lua flags=no-writes
-- Returns what each pipeline resumes from, all as of one moment.
-- Keys: pipelines. Arguments: prefix.
-- Returns for each pipeline {id, error}, or {id, fields, recently completed, failed and skipped records, rows of files in
-- flight, attempts, keys of files with warnings, and of completed, failed, skipped and deleted files}.
local pipelines = {}
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local files, recent, why = ARGV[1] .. ':files:' .. id, ARGV[1] .. ':recent:' .. id .. ':', nil
  -- If an earlier version runs the pipeline, the set has its earlier name.
  local function by_change(status)
    local key, legacy = ARGV[1] .. ':by-change-' .. status .. ':' .. id, files .. ':' .. status
    if redis.pcall('EXISTS', key) == 0 and redis.pcall('TYPE', legacy).ok == 'zset' then return legacy end
    return key
  end
  local function read(...)
    local answer = redis.pcall(...)
    if type(answer) == 'table' and answer.err then
      why = answer.err
      return {}
    end
    return answer
  end
  local rows = {}
  for _, key in ipairs(read('ZRANGE', by_change('processing'), 0, -1)) do
    local row = read('HGET', files, key)
    if type(row) == 'string' then rows[#rows + 1] = row end
  end
  local found = {id, read('HGETALL', ARGV[1] .. ':pipeline:' .. id),
    read('LRANGE', recent .. 'completed', 0, -1), read('LRANGE', recent .. 'failed', 0, -1),
    read('LRANGE', recent .. 'skipped', 0, -1), rows,
    read('ZRANGE', ARGV[1] .. ':attempts:' .. id, 0, -1, 'WITHSCORES'),
    read('ZRANGE', ARGV[1] .. ':by-change-warned:' .. id, 0, -1),
    read('ZRANGE', by_change('completed'), 0, -1), read('ZRANGE', by_change('failed'), 0, -1),
    read('ZRANGE', by_change('skipped'), 0, -1), read('ZRANGE', by_change('deleted'), 0, -1)}
  pipelines[#pipelines + 1] = why and {id, why} or found
end
return pipelines
