-- beat_lease: takes, keeps or gives up the lead among beats.
--
-- KEYS[1] lease string: "<fencing number> <holder>"
-- KEYS[2] counter of fencing numbers
-- ARGV[1] "hold" or "release"
-- ARGV[2] holder id
-- ARGV[3] lease, ms
--
-- Returns {1, fencing number, lease ms, holder} when the caller leads, {0, the leader's number, its lease's
-- rest in ms, the leader's id} when it does not; for "release" {0, 0, 0, ""}.
--
-- The fencing number grows by one with each change of leader, never with a renewal.
-- If the caller dies right after: the lease ends by itself, and the next beat leads with a greater number.
local held = redis.call('GET', KEYS[1])
local fence, holder
if held then fence, holder = string.match(held, '^(%d+) (.*)$') end
if ARGV[1] == 'release' then
  if holder == ARGV[2] then redis.call('DEL', KEYS[1]) end
  return {0, 0, 0, ''}
end
if not held then
  fence = redis.call('INCR', KEYS[2])
elseif holder ~= ARGV[2] then
  return {0, tonumber(fence), redis.call('PTTL', KEYS[1]), holder}
end
redis.call('SET', KEYS[1], fence .. ' ' .. ARGV[2], 'PX', ARGV[3])
return {1, tonumber(fence), tonumber(ARGV[3]), ARGV[2]}
