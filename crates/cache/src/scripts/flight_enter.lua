-- flight_enter: reads a value that is fresh, or takes the right to compute it.
--
-- KEYS[1] cache value
-- KEYS[2] lock string: the token of who computes it
-- ARGV[1] how much life a fresh value has at least, ms; one without an end is always fresh
-- ARGV[2] token
-- ARGV[3] how long the right lasts without a renewal, ms
-- ARGV[4] the most bytes of the value that are read
--
-- Returns {"fresh", value}; {"ours"} when the caller is to compute it; {"taken"} when another does.
--
-- If the caller dies right after: the right ends after ARGV[3], and the next one takes it.
local left = redis.call('PTTL', KEYS[1])
if left == -1 or left > tonumber(ARGV[1]) then
  local value = redis.call('GETRANGE', KEYS[1], 0, ARGV[4])
  if value ~= '' then return {'fresh', value} end
end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {'ours'} end
return {'taken'}
