-- What XINFO STREAM returns, without the entries in it.
local function stream_info(key)
  if redis.call('EXISTS', key) == 0 then return {'length', 0, 'entries-added', 0, 'last-generated-id', '0-0'} end
  local info = redis.call('XINFO', 'STREAM', key)
  local known = {}
  for n = 1, #info, 2 do
    if type(info[n + 1]) ~= 'table' then known[#known + 1], known[#known + 2] = info[n], info[n + 1] end
  end
  return known
end

-- Returns entries after an id, within limits; the last entry may exceed the limit of bytes.
local function page(key, after, max_entries, max_bytes)
  local found, size = {}, 0
  repeat
    local part = redis.call('XRANGE', key, '(' .. after, '+', 'COUNT', math.min(32, max_entries - #found))
    for _, entry in ipairs(part) do
      found[#found + 1], after = entry, entry[1]
      for _, text in ipairs(entry[2]) do size = size + #text end
      if size >= max_bytes then return found end
    end
  until #part < 32 or #found >= max_entries
  return found
end
