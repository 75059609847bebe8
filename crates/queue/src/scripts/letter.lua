-- letter: keeps a message apart (dead or parked), within the caps.
--
-- KEYS[1] index zset: letter id -> when it was kept, ms
-- KEYS[2] letters hash: letter id -> record
-- ARGV[1] letter id; keeping the same id again replaces the record
-- ARGV[2] record
-- ARGV[3] how many letters are kept
-- ARGV[4] how long a letter is kept, ms
--
-- Returns the ids of the letters that had to give way (over the count or too old, at most 100).
--
-- If the caller dies right after: the letter is kept; the claim that it came from is given back and the same
-- letter is written once more, so that nothing is lost and nothing doubled.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4], 'LIMIT', 0, 100)
local over = redis.call('ZCARD', KEYS[1]) - #gone - tonumber(ARGV[3])
if over > 0 then
  local oldest = redis.call('ZRANGE', KEYS[1], #gone, #gone + math.min(over, 100 - #gone) - 1)
  for _, id in ipairs(oldest) do gone[#gone + 1] = id end
end
for _, id in ipairs(gone) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
end
return gone
