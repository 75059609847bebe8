-- limit_take: takes a place under several limits at once, or tells how long to wait.
--
-- KEYS[1..] two for each limit: its hash, and the zset of places, to the ends of their leases, us
-- ARGV[1] the place's token
-- ARGV[2] how long the place is held without a renewal, us
-- ARGV[3] how long a limit without use is remembered, ms
-- ARGV[4..] four for each limit: the least time between two takes, us (0: none); how many may come
--   at once after a quiet time; places (0: any number); failures in a row after which it is open
--
-- Returns {1, 0, ""} when all were taken; else {0, us to wait, why}, and nothing was taken. `why`
-- is that of the limit with the longest wait: "held", "open", "rate", or "busy", which may end
-- sooner.
--
-- Fields of the hash: tat (GCRA's next time), hold and open (until when nobody may), delay (the
-- pace that reports ask for), failures (in a row). An open limit that may be tried has one place.
--
-- If the caller dies right after: its places end with their leases; its turn stays used.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local wait, why = 0, ''
local function later(by, reason)
  if by > wait then wait, why = by, reason end
end
local n = #KEYS / 2
local next = {}
for i = 1, n do
  local at = i * 4
  local interval, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local places, trip = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local state = redis.call('HMGET', KEYS[2 * i - 1], 'tat', 'hold', 'open', 'delay', 'failures')
  local function field(f) return tonumber(state[f] or '0') or 0 end
  later(field(2) - now, 'held')
  later(field(3) - now, 'open')
  interval = math.max(interval, field(4))
  local tat = field(1)
  if interval > 0 then later(tat - (burst - 1) * interval - now, 'rate') end
  next[i] = math.max(tat, now) + interval
  if trip > 0 and field(5) >= trip then places = 1 end
  redis.call('ZREMRANGEBYSCORE', KEYS[2 * i], '-inf', now)
  if places > 0 and redis.call('ZCARD', KEYS[2 * i]) >= places
    and not redis.call('ZSCORE', KEYS[2 * i], ARGV[1]) then
    local first = redis.call('ZRANGE', KEYS[2 * i], 0, 0, 'WITHSCORES')
    later(tonumber(first[2]) - now, 'busy')
  end
end
if wait > 0 then return {0, string.format('%.0f', wait), why} end
local lease = tonumber(ARGV[2])
for i = 1, n do
  local hash, places = KEYS[2 * i - 1], KEYS[2 * i]
  redis.call('HSET', hash, 'tat', string.format('%.0f', next[i]))
  redis.call('PEXPIRE', hash, math.ceil((next[i] - now) / 1000) + ARGV[3])
  redis.call('ZADD', places, string.format('%.0f', now + lease), ARGV[1])
  redis.call('PEXPIRE', places, math.ceil(lease / 1000) + 1000)
end
return {1, '0', ''}
