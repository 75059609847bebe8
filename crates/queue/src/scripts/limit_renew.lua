-- limit_renew: holds a place under several limits for another lease.
--
-- KEYS[1..] the zsets of places, to the ends of their leases, us
-- ARGV[1] the place's token
-- ARGV[2] how long the place is held without a renewal, us
--
-- Returns 1 when the place is held under all of them, 0 when it has ended under one.
--
-- If the caller dies right after: its places end with their leases.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local lease = tonumber(ARGV[2])
local held = 1
for _, places in ipairs(KEYS) do
  local ends = tonumber(redis.call('ZSCORE', places, ARGV[1]) or '0')
  if ends > now then
    redis.call('ZADD', places, 'XX', string.format('%.0f', now + lease), ARGV[1])
    redis.call('PEXPIRE', places, math.ceil(lease / 1000) + 1000)
  else
    held = 0
  end
end
return held
