-- revoke: records that tasks shall not run, and whether those that run are to be ended.
--
-- KEYS[1] revoked zset: task id -> when the revocation ends, ms
-- KEYS[2] terminated zset, of the same form: those of them that are to be ended while they run
-- ARGV[1] how long a revocation is kept, ms
-- ARGV[2] the most revocations that are kept
-- ARGV[3] 1 when tasks that run are to be ended, 0 when not
-- ARGV[4..] task ids, 500 at the most
--
-- Returns how many revocations are kept.
--
-- What has expired goes first, then the oldest over the cap, some hundreds a call.
-- If the caller dies right after: the revocations stand; a worker obeys from its next reading on.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- Of nobody: once a script has written, a full Redis lets the rest of it pass.
redis.call('ZREM', KEYS[1], '')
local sets = ARGV[3] == '1' and 2 or 1
for i = 1, sets do
  for j = 4, #ARGV do
    redis.call('ZADD', KEYS[i], now + ARGV[1], ARGV[j])
  end
end
for i = 1, 2 do
  local expired = redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now, 'LIMIT', 0, 400)
  for _, id in ipairs(expired) do redis.call('ZREM', KEYS[i], id) end
  local over = redis.call('ZCARD', KEYS[i]) - ARGV[2]
  if over > 0 then redis.call('ZPOPMIN', KEYS[i], math.min(over, 500)) end
  redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
return redis.call('ZCARD', KEYS[1])
