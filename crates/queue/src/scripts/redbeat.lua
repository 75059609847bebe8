-- redbeat: reads the entries that Python's RedBeat keeps, if they changed. Writes nothing.
--
-- KEYS[1] RedBeat's schedule zset: key of an entry -> when it is due, s
-- KEYS[2] RedBeat's lock: exists while a beat of Python's leads
-- ARGV[1] the digest that the caller has
-- ARGV[2] the first entry to read, by its place among the keys in ascending order of when they are due
-- ARGV[3] how many entries to read at the most, up to 500
--
-- Returns {1 when the lock is held or else 0, digest, number of entries, then key, definition and meta of each}; only
-- the first three when the digest is the caller's. An entry without a definition has an empty one.
--
-- The entries' keys stand in the zset, so that they cannot be named here: RedBeat on a cluster is not served.
-- If the caller dies right after: nothing was changed.
local locked = redis.call('EXISTS', KEYS[2])
local n = redis.call('ZCARD', KEYS[1])
local first = tonumber(ARGV[2])
local keys = redis.call('ZRANGE', KEYS[1], first, first + ARGV[3] - 1)
table.sort(keys)
local found, definitions = {}, {}
for i, key in ipairs(keys) do
  local entry = redis.call('HMGET', key, 'definition', 'meta')
  found[#found + 1] = key
  found[#found + 1] = entry[1] or ''
  found[#found + 1] = entry[2] or ''
  definitions[i] = key .. '\n' .. (entry[1] or '')
end
local digest = redis.sha1hex(table.concat(definitions, '\n') .. n .. '/' .. locked)
local out = {locked, digest, n}
if digest ~= ARGV[1] then
  for _, part in ipairs(found) do out[#out + 1] = part end
end
return out
