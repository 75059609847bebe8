-- walk: one step of the fleet's walk through all keys, which finds claims without a lease.
--
-- KEYS[1] walk hash: `cursor` -> where the walk goes on, absent between two; `next` -> when the
--   next one begins, ms
-- ARGV[1] the pattern of the keys to find
-- ARGV[2] how many keys to look at, 1 to 1,000
-- ARGV[3] how long to rest between two walks, ms
-- ARGV[4] 1 to begin one although it is too early
--
-- Returns {how long until the next step, ms; 0 while this walk goes on, the keys found...}.
--
-- All workers of a fleet walk together: each goes on where the last one was.
-- If the caller dies right after: what this step found is found by the next walk.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- Of nothing: once a script has written, a full Redis lets the rest of it pass.
redis.call('HDEL', KEYS[1], '')
local cursor = redis.call('HGET', KEYS[1], 'cursor')
if not cursor then
  -- A time further than a rest away is one of another clock, or of longer rests.
  local wait = tonumber(redis.call('HGET', KEYS[1], 'next') or 0) - now
  if ARGV[4] ~= '1' and wait > 0 and wait <= tonumber(ARGV[3]) then return {wait} end
  cursor = '0'
end
local step = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', ARGV[2])
local out = {0}
for _, key in ipairs(step[2]) do out[#out + 1] = key end
if step[1] == '0' then
  out[1] = tonumber(ARGV[3])
  redis.call('HDEL', KEYS[1], 'cursor')
  redis.call('HSET', KEYS[1], 'next', now + ARGV[3])
else
  redis.call('HSET', KEYS[1], 'cursor', step[1])
end
redis.call('EXPIRE', KEYS[1], 86400)
return out
