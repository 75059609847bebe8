-- purge: throws away what waits in a queue.
--
-- KEYS[1] scheduled zset of the queue
-- KEYS[2..] the queue's lists
-- ARGV[1] "1" to throw away the scheduled messages as well
--
-- Returns {messages that waited, messages that were scheduled}, as many as were thrown away.
--
-- Claimed messages are left: they run. UNLINK frees in the background, whatever a list's length.
-- If the caller dies right after: all of it is done.
local waited, scheduled = 0, 0
for i = 2, #KEYS do
  waited = waited + redis.call('LLEN', KEYS[i])
  redis.call('UNLINK', KEYS[i])
end
if ARGV[1] == '1' then
  scheduled = redis.call('ZCARD', KEYS[1])
  redis.call('UNLINK', KEYS[1])
end
return {waited, scheduled}
