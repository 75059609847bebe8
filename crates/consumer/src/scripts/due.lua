-- due: the part of `claim` and `pick` that puts what has fallen due at the end of its list.
--
-- KEYS[3] scheduled zset of the queue: "<list>|<message>" -> due, ms
-- KEYS[6..] the queue's lists, most urgent first; <list> above is 1 for KEYS[6]
-- ARGV none
--
-- Returns, as a function of the time now, ms, how many it has moved, at most 100, to the consumer's
-- end; those that were due first are next.
--
-- If the caller dies right after: each message is either still scheduled or in its list.
local function move_due(now)
  local due = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)
  for i = #due, 1, -1 do
    local list, message = string.match(due[i], '^(%d+)|()')
    redis.call('ZREM', KEYS[3], due[i])
    -- A list that is no more (fewer priority steps by now) is the most urgent one's.
    local key = KEYS[5 + (tonumber(list) or 1)] or KEYS[6]
    -- Where a key of another type stands in the list's place, it waits for a minute more.
    if type(redis.pcall('RPUSH', key, string.sub(due[i], message or 1))) == 'table' then
      redis.call('ZADD', KEYS[3], now + 60000, due[i])
    end
  end
  return #due
end

