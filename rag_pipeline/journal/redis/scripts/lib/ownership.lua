-- Who owns a pipeline, and which batch of the owner was written last.

-- Returns status, number of the last batch, detail, number of the last complete batch, number of its items sent.
-- The statuses: ok; lost (another process owns the pipeline); expired (nobody owns it); behind (the server has lost
-- confirmed data); broken (the pipeline's keys can't be used).
local function ownership(prefix, id, token, expected)
  local owner = redis.pcall('GET', prefix .. ':owner:' .. id)
  local mark = redis.pcall('HMGET', prefix .. ':pipeline:' .. id, 'writer', 'batch', 'done', 'sent')
  if type(owner) == 'table' then return 'broken', 0, owner.err, 0 end
  if mark.err then return 'broken', 0, mark.err, 0 end
  local batch, done = tonumber(mark[2] or ''), tonumber(mark[3] or '') or 0
  if owner and string.sub(owner, 1, #token + 1) ~= token .. ' ' then return 'lost', 0, owner, 0 end
  if mark[1] and mark[1] ~= token and not owner then return 'lost', 0, '', 0 end
  if mark[1] ~= token or not batch or batch < expected then return 'behind', 0, '', 0 end
  if not owner then return 'expired', batch, '', done, mark[4] or '0' end
  return 'ok', batch, owner, done, mark[4] or '0'
end

-- The server's clock in milliseconds, as text.
local function now()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
