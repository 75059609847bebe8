-- sample: reads a piece of a list from the producer's end. It changes nothing.
--
-- KEYS[1] the list
-- ARGV[1] the place of the first message, from 0
-- ARGV[2] how many messages at the most, 1 to 1,000
-- ARGV[3] no further message is read once this many bytes are
-- ARGV[4] the greatest message that is returned, bytes; of a larger one only its size is
-- ARGV[5] SHA-1 of the message before which to stop, or an empty text
--
-- Returns {length, what comes, SHA-1 of the first message, {size, message}...}. What comes: the
-- place to go on at; -1 at the list's end; -2 where the message of ARGV[5] was met. A key that is
-- no list is an empty one.
--
-- Eight messages at a time: one by one each would be sought from the list's end, and a page of
-- large ones would be in memory before it could be cut.
-- If the caller dies right after: nothing has changed.
if redis.call('TYPE', KEYS[1]).ok ~= 'list' then return {0, -1, ''} end
local at, n = tonumber(ARGV[1]), tonumber(ARGV[2])
local enough, max = tonumber(ARGV[3]), tonumber(ARGV[4])
local out, bytes = {redis.call('LLEN', KEYS[1]), at, ''}, 0
local last = at + n
while at < last and bytes < enough do
  local some = redis.call('LRANGE', KEYS[1], at, math.min(at + 7, last - 1))
  for _, message in ipairs(some) do
    local digest = (ARGV[5] ~= '' or #out == 3) and redis.sha1hex(message)
    if digest == ARGV[5] then
      out[2] = -2
      return out
    end
    if #out == 3 then out[3] = digest end
    local fits = #message <= max
    out[#out + 1] = {#message, fits and message or ''}
    bytes = bytes + (fits and #message or 0)
    at = at + 1
  end
  out[2] = at
  if at >= out[1] or #some == 0 then
    out[2] = -1
    return out
  end
end
return out
