-- pages_put: keeps a page, and lets go of those that were used the longest ago.
--
-- KEYS[1] hash: the pages by key, and under the empty key how many bytes they have together
-- KEYS[2] zset: their keys by when they were last used, ms
-- ARGV[1] the page's key
-- ARGV[2] the page
-- ARGV[3] the most bytes of all pages together; 0 keeps none
-- ARGV[4] the most pages
-- ARGV[5] how long they are kept when none is used, ms
--
-- Returns how many were let go. At most 100 at a time: the next call goes on.
--
-- If the caller dies right after: nothing is left to do.
local most, page = tonumber(ARGV[3]), ARGV[2]
local before = redis.call('HSTRLEN', KEYS[1], ARGV[1])
-- The first write, so that a Redis without memory refuses it before anything has changed.
redis.call('HSET', KEYS[1], ARGV[1], page)
local bytes = redis.call('HINCRBY', KEYS[1], '', #page - before)
local time = redis.call('TIME')
redis.call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local let_go = 0
while let_go < 100 and (bytes > most or redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[4])) do
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
  if not oldest then break end
  local gone = redis.call('HSTRLEN', KEYS[1], oldest)
  redis.call('ZREM', KEYS[2], oldest)
  redis.call('HDEL', KEYS[1], oldest)
  bytes = redis.call('HINCRBY', KEYS[1], '', -gone)
  let_go = let_go + 1
end
return let_go
