-- peek: shows the scheduled messages of a queue that are due first. It changes nothing.
--
-- KEYS[1] scheduled zset of the queue: "<list>|<message>" -> due, ms
-- ARGV[1] how many to show at the most, 1 to 1,000
-- ARGV[2] a message of more bytes than this is left out
-- ARGV[3] no further message is shown once this many bytes are
--
-- Returns {due ms, message, ...}, soonest first.
--
-- One element at a time: a page of large messages would be in memory before it could be cut.
-- If the caller dies right after: nothing has changed.
local out, bytes = {}, 0
for i = 0, ARGV[1] - 1 do
  local one = redis.call('ZRANGE', KEYS[1], i, i, 'WITHSCORES')
  if not one[1] or bytes > tonumber(ARGV[3]) then break end
  if #one[1] <= tonumber(ARGV[2]) then
    local _, message = string.match(one[1], '^(%d+)|()')
    if message then
      out[#out + 1] = one[2]
      out[#out + 1] = string.sub(one[1], message)
      bytes = bytes + #one[1]
    end
  end
end
return out
