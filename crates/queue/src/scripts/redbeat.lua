-- redbeat: reads the entries that Python's RedBeat keeps, if they changed. Writes nothing.
--
-- KEYS[1] RedBeat's schedule zset: key of an entry -> when it is due, s
-- KEYS[2] RedBeat's lock: exists while a beat of Python's leads
-- ARGV[1] the digest that the caller has
-- ARGV[2] the first entry to read, by its place in the ascending order of when they are due
-- ARGV[3] how many entries to read at the most, up to 500
--
-- Returns {1 when the lock is held or else 0, digest, number of entries, then key, refusal,
-- definition (empty for none) and meta of each}; only the first three when the digest is the
-- caller's. refusal: empty, or why Redis does not read the key; of KEYS[1] it is the only entry.
--
-- The entries' keys cannot be named here: they stand in the zset. No RedBeat on a cluster, then.
-- If the caller dies right after: nothing was changed.
local locked = redis.call('EXISTS', KEYS[2])
local found, definitions = {}, {}
local function add(key, refusal, definition, meta)
  for _, part in ipairs({key, refusal, definition or '', meta or ''}) do
    found[#found + 1] = part
  end
  definitions[#definitions + 1] = table.concat({key, refusal, definition or ''}, '\n')
end
local n = redis.pcall('ZCARD', KEYS[1])
if type(n) == 'table' then
  add(KEYS[1], n.err)
  n = 0
else
  local first = tonumber(ARGV[2])
  local keys = redis.call('ZRANGE', KEYS[1], first, first + ARGV[3] - 1)
  table.sort(keys)
  for _, key in ipairs(keys) do
    local entry = redis.pcall('HMGET', key, 'definition', 'meta')
    if entry.err then add(key, entry.err) else add(key, '', entry[1], entry[2]) end
  end
end
local digest = redis.sha1hex(table.concat(definitions, '\n') .. n .. '/' .. locked)
local out = {locked, digest, n}
if digest ~= ARGV[1] then
  for _, part in ipairs(found) do out[#out + 1] = part end
end
return out
