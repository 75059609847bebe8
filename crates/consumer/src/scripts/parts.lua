-- parts: reads a piece of what a chord's header has collected. It changes nothing.
--
-- KEYS[1] <group>.j: the parts, in their order
-- ARGV[1] the place of the first one, from 0
-- ARGV[2] how many bytes may still be read in all
-- ARGV[3] no further part is read once this many bytes are
--
-- Returns {what comes, part, ...}: the place to go on at, -1 at the end, -2 where the next part is
-- over what may be read. At most 1,000 parts.
--
-- One element at a time: a page of large parts would be in memory before it could be cut.
-- If the caller dies right after: nothing has changed.
local first, left, enough = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local out, bytes = {first}, 0
for i = first, first + 999 do
  local one = redis.call('ZRANGE', KEYS[1], i, i)[1]
  if not one then
    out[1] = -1
    return out
  end
  if #one > left - bytes then
    out[1] = -2
    return out
  end
  if bytes > 0 and bytes + #one > enough then
    return out
  end
  bytes = bytes + #one
  out[#out + 1] = one
  out[1] = i + 1
end
return out
