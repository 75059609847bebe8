-- values: reads texts whose sizes are not known. It changes nothing.
--
-- KEYS[..] the texts, at most 1,000
-- ARGV[1] how many bytes may be read in all
-- ARGV[2] no further text is read once this many bytes are
--
-- Returns {what comes, value, ...}: how many of the KEYS were looked at, or -2 where the next one
-- is over what may be read; a key that is absent or of another type is an empty text.
--
-- If the caller dies right after: nothing has changed.
local left, enough = tonumber(ARGV[1]), tonumber(ARGV[2])
local out, bytes = {0}, 0
for i = 1, #KEYS do
  local size = redis.pcall('STRLEN', KEYS[i])
  if type(size) ~= 'number' then size = 0 end
  if size > left - bytes then
    out[1] = -2
    return out
  end
  if bytes > 0 and bytes + size > enough then return out end
  bytes = bytes + size
  out[i + 1] = size > 0 and redis.call('GET', KEYS[i]) or ''
  out[1] = i
end
return out
