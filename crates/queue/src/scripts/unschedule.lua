-- unschedule: moves scheduled messages of a queue back to its lists, due or not.
--
-- KEYS[1] scheduled zset of the queue: "<list>|<message>" -> due, ms
-- KEYS[2..] the queue's lists, most urgent first; <list> above is 1 for KEYS[2]
-- ARGV[1] how many at the most, 1 to 500
--
-- Returns how many were moved: the latest first, so that the one due first is next in the end.
--
-- A list whose key is of another type is an error, and the message stays scheduled.
-- If the caller dies right after: each message is either still scheduled or back in its list.
redis.call('ZREM', KEYS[1], '')
local latest = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1)
for _, member in ipairs(latest) do
  local list, message = string.match(member, '^(%d+)|()')
  -- A list that is no more (fewer priority steps by now) is the most urgent one's.
  local key = KEYS[1 + (tonumber(list) or 1)] or KEYS[2]
  redis.call('RPUSH', key, string.sub(member, message or 1))
  redis.call('ZREM', KEYS[1], member)
end
return #latest
