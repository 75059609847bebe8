-- tick: publishes a schedule's tick and marks it as published, in one step.
--
-- KEYS[1] ticks hash of the queue: schedule name -> its last tick, ms
-- KEYS[2] the greatest fencing number that has published on this queue
-- KEYS[3] the list to publish to
-- ARGV[1] schedule name
-- ARGV[2] the tick, ms
-- ARGV[3] the caller's fencing number
-- ARGV[4] the message; empty to mark without publishing (a schedule seen for the first time)
--
-- Returns 1 published, 0 that tick or a later one was published before, -1 the caller no longer leads.
--
-- If the caller dies right after: the tick is published and marked, and no beat publishes it again.
if tonumber(ARGV[3]) < tonumber(redis.call('GET', KEYS[2]) or 0) then return -1 end
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then return 0 end
-- The message first: if it is refused (another type under the list's name, no memory), nothing is marked.
if ARGV[4] ~= '' then redis.call('LPUSH', KEYS[3], ARGV[4]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('SET', KEYS[2], ARGV[3])
return 1
