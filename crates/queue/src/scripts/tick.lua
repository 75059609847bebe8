-- tick: publishes a schedule's tick and marks it, or passes it over, in one step.
--
-- KEYS[1] ticks hash of the queue: schedule name -> its record (crates/queue/src/tick/record.rs)
-- KEYS[2] the greatest fencing number that has written on this queue
-- KEYS[3] the list to publish to
-- ARGV[1] schedule name
-- ARGV[2] the tick, ms
-- ARGV[3] the caller's fencing number
-- ARGV[4] the message; empty to pass the tick over
-- ARGV[5] the record's runs and missed ticks
-- ARGV[6] its lateness and time of the last publication, for a tick that is passed over
-- ARGV[7] the record's rest
--
-- Returns {1, lateness in ms} published or passed over, {0, 0} that tick or a later one was before,
-- {-1, 0} the caller no longer leads.
--
-- If the caller dies right after: the tick is published and marked; no beat publishes it again.
if tonumber(ARGV[3]) < tonumber(redis.call('GET', KEYS[2]) or 0) then return {-1, 0} end
local record = redis.call('HGET', KEYS[1], ARGV[1])
local last = record and tonumber(string.match(record, '^%-?%d+'))
if last and last >= tonumber(ARGV[2]) then return {0, 0} end
local times, late = ARGV[6], 0
if ARGV[4] ~= '' then
  local t = redis.call('TIME')
  local now = t[1] * 1000 + math.floor(t[2] / 1000)
  late = math.max(0, now - ARGV[2])
  times = string.format('%.0f %.0f', late, now)
  -- The message first: if it is refused (the list's key of another type, no memory), nothing is
  -- marked.
  redis.call('LPUSH', KEYS[3], ARGV[4])
end
redis.call('HSET', KEYS[1], ARGV[1], table.concat({ARGV[2], ARGV[5], times, ARGV[7]}, ' '))
redis.call('SET', KEYS[2], ARGV[3])
return {1, late}
