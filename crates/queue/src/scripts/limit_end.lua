-- limit_end: releases a place under several limits, and reports what became of it.
--
-- KEYS[1..] two for each limit: its hash, and the zset of places, to the ends of their leases, us
-- ARGV[1] the place's token
-- ARGV[2] how long a limit without use is remembered, ms
-- ARGV[3..] seven for each limit: how long nobody may, us (0: no wish); 1 for a success, 0 for a
--   failure, -1 for neither; how long it took, us (-1: unknown); the least and the most delay that
--   reports may lead to, us; failures in a row after which it opens (0: never); how long, us
--
-- Returns how many places were released.
--
-- The delay goes half way to what the last one took; a failure may only raise it, and a wish to be
-- left alone doubles it. Each failure of an open limit opens it for twice as long, 32 times at
-- most.
--
-- If the caller dies right after: nothing is left to do.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local released = 0
for i = 1, #KEYS / 2 do
  local hash = KEYS[2 * i - 1]
  released = released + redis.call('ZREM', KEYS[2 * i], ARGV[1])
  local at = 3 + (i - 1) * 7
  local hold, ended, took = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local least, most = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local trip, cool = tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  local state = redis.call('HMGET', hash, 'tat', 'hold', 'open', 'delay', 'failures')
  local function field(f) return tonumber(state[f] or '0') or 0 end
  local until_us = math.max(field(1), field(2), field(3))
  local function set(name, value)
    redis.call('HSET', hash, name, string.format('%.0f', value))
  end
  local delay = math.max(field(4), least)
  local asked = delay
  if took >= 0 then asked = (delay + took) / 2 end
  if ended ~= 1 then asked = math.max(asked, delay) end
  if hold > 0 then asked = math.max(asked, 2 * delay) end
  asked = math.min(math.max(asked, least), most)
  if asked ~= field(4) then set('delay', asked) end
  if hold > 0 then
    set('hold', math.max(field(2), now + hold))
    until_us = math.max(until_us, now + hold)
  end
  if ended == 1 and field(5) > 0 then
    redis.call('HDEL', hash, 'failures', 'open')
  elseif ended == 0 and trip > 0 then
    local failures = math.min(field(5) + 1, trip + 5)
    set('failures', failures)
    if failures >= trip then
      local open = now + cool * 2 ^ (failures - trip)
      set('open', open)
      until_us = math.max(until_us, open)
    end
  end
  redis.call('PEXPIRE', hash, math.max(0, math.ceil((until_us - now) / 1000)) + ARGV[2])
end
return released
