-- heard: records a message that was published to all workers of a queue as claimed by this one.
--
-- KEYS[1] claims hash of this worker on this queue, as `claim` has it
-- KEYS[2] leases zset of the queue: worker id -> end of its lease, ms
-- KEYS[3] pause of the queue: exists while it is paused
-- ARGV[1] the number of the claim
-- ARGV[2] worker id
-- ARGV[3] lease, ms
-- ARGV[4] the message
--
-- Returns now, ms; nothing while the queue is paused.
--
-- If the caller dies right after: as for `claim`. If it dies before, this worker's copy is gone; it
-- stood nowhere in Redis.
redis.call('ZREM', KEYS[2], '')
if redis.call('EXISTS', KEYS[3]) == 1 then return false end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local plain = string.byte(ARGV[4]) == 123
redis.call('HSET', KEYS[1], ARGV[1], plain and ARGV[4] or '1:0:' .. now .. ':' .. ARGV[4])
redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
return now
