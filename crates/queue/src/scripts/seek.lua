-- seek: looks for a text in a piece of what a queue or a worker holds. It changes nothing.
--
-- KEYS[1] a list (from its end, which runs next), a sorted set, or a hash (its values)
-- ARGV[1] the place of the first element, from 0
-- ARGV[2] the text
-- ARGV[3] no further element is looked at once this many bytes are
--
-- Returns {what comes, element, ...}: the place to go on at, -1 at the end; then the elements that
-- have the text in them. At most 1,000 elements.
--
-- One element at a time: a page of large messages would be in memory before it could be cut.
-- If the caller dies right after: nothing has changed.
local kind = redis.call('TYPE', KEYS[1]).ok
local fields = kind == 'hash' and redis.call('HKEYS', KEYS[1]) or {}
local function element(i)
  if kind == 'list' then return redis.call('LINDEX', KEYS[1], -1 - i) end
  if kind == 'zset' then return redis.call('ZRANGE', KEYS[1], i, i)[1] end
  return fields[i + 1] and redis.call('HGET', KEYS[1], fields[i + 1])
end
local first, enough = tonumber(ARGV[1]), tonumber(ARGV[3])
local out, bytes = {first}, 0
for i = first, first + 999 do
  local one = element(i)
  if not one then
    out[1] = -1
    return out
  end
  if bytes > 0 and bytes + #one > enough then return out end
  bytes = bytes + #one
  if string.find(one, ARGV[2], 1, true) then out[#out + 1] = one end
  out[1] = i + 1
end
return out
