-- tick_note: shuts earlier leaders out of a queue's ticks, and writes records of unpublished ones.
--
-- KEYS[1] ticks hash of the queue: schedule name -> its record (crates/queue/src/tick/record.rs)
-- KEYS[2] the greatest fencing number that has written on this queue
-- ARGV[1] the caller's fencing number
-- ARGV[2..] schedule name and record, in turn; at most 250 of them, or none
--
-- Returns 0 done, or the greater fencing number of whoever leads in the caller's place.
--
-- If the caller dies right after: the records stand, and the next beat reads them.
local greatest = tonumber(redis.call('GET', KEYS[2]) or 0)
if tonumber(ARGV[1]) < greatest then return greatest end
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('SET', KEYS[2], ARGV[1])
return 0
