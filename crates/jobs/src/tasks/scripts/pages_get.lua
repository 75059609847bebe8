-- pages_get: reads a page, which counts as its use.
--
-- KEYS[1] hash: the pages by key
-- KEYS[2] zset: their keys by when they were last used, ms
-- ARGV[1] the page's key
--
-- Returns the page, or nil.
--
-- If the caller dies right after: nothing is left to do.
local page = redis.call('HGET', KEYS[1], ARGV[1])
if page then
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[2], 'XX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
end
return page
