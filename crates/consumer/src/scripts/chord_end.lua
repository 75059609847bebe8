-- chord_end: publishes a chord's body and removes what was collected, once.
--
-- KEYS[1] <group>.c: who publishes the body
-- KEYS[2] <group>.s: how many parts there are; absent once the chord has ended
-- KEYS[3] <group>.j, the parts
-- KEYS[4] <group>.t, how many parts were added later
-- KEYS[5] <group>.d, the parts that were counted
-- KEYS[6..] the list of each message
-- ARGV[1] who we are
-- ARGV[2] "end", or "hold" to keep the right for messages that are published elsewhere
-- ARGV[3] how long it is known that the chord has ended, or the right is kept, s
-- ARGV[4..] the messages, at most 100
--
-- Returns 1 done, 0 not ours to do any more (nothing was changed).
--
-- If the caller dies right after: the body is published and the chord has ended, or the right is
-- kept, and a redelivery of the same part has it again.
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] and (holder or redis.call('EXISTS', KEYS[2]) == 0) then
  return 0
end
-- Of nobody: once a script has written, a full Redis lets the rest of it pass.
redis.call('ZREM', KEYS[3], '')
if ARGV[2] == 'hold' then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
  return 1
end
for i = 4, #ARGV do
  redis.call('LPUSH', KEYS[i + 2], ARGV[i])
end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('SET', KEYS[1], 'done', 'EX', ARGV[3])
return 1
