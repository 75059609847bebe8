-- letter_drop: forgets letters (dead or parked).
--
-- KEYS[1] index zset: letter id -> when it was kept, ms
-- KEYS[2] letters hash: letter id -> record
-- KEYS[3] string: how many bytes the records have together
-- ARGV[1..] the letters' ids, 1 to 100
--
-- Returns how many there were.
--
-- If the caller dies right after: the letters are gone.
local dropped, bytes = 0, 0
for _, id in ipairs(ARGV) do
  bytes = bytes + redis.call('HSTRLEN', KEYS[2], id)
  dropped = dropped + redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[3])
elseif bytes > 0 then
  redis.call('DECRBY', KEYS[3], bytes)
end
return dropped
