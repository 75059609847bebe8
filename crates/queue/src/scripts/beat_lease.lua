-- beat_lease: takes, keeps or gives up the lead among beats.
--
-- KEYS[1] lease string: "<fencing number> <leading since, ms> <holder>"
-- KEYS[2] counter of fencing numbers
-- ARGV[1] "hold" or "release"
-- ARGV[2] holder id
-- ARGV[3] lease, ms
-- ARGV[4] the greatest fencing number that the caller has met: a new one is greater
--
-- Returns {1, fencing number, leading since in ms, lease ms, holder, now in us} when the caller
-- leads, {0, the leader's number, since, its lease's rest in ms, the leader's id, now} when it does
-- not; for "release" {1 if the caller has led, else 0, 0, 0, 0, "", now}.
--
-- The fencing number grows by one with each change of leader, never with a renewal.
-- If the caller dies right after: the lease ends by itself, and the next beat leads with a greater
-- number.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local held = redis.call('GET', KEYS[1])
local fence, since, holder
if held then
  fence, since, holder = string.match(held, '^(%d+) (%d+) (.*)$')
  if not fence then
    -- As written before 0.2, without the time.
    fence, holder = string.match(held, '^(%d+) (.*)$')
    since = math.floor(now / 1000)
  end
end
if ARGV[1] == 'release' then
  local released = 0
  if holder == ARGV[2] then released = redis.call('DEL', KEYS[1]) end
  return {released, 0, 0, 0, '', now}
end
if not fence then
  fence = redis.call('INCR', KEYS[2])
  if fence <= tonumber(ARGV[4]) then
    fence = ARGV[4] + 1
    redis.call('SET', KEYS[2], fence)
  end
  since = math.floor(now / 1000)
elseif holder ~= ARGV[2] then
  return {0, tonumber(fence), tonumber(since), redis.call('PTTL', KEYS[1]), holder, now}
end
local lease = string.format('%.0f %.0f %s', fence, since, ARGV[2])
redis.call('SET', KEYS[1], lease, 'PX', ARGV[3])
return {1, tonumber(fence), tonumber(since), tonumber(ARGV[3]), ARGV[2], now}
