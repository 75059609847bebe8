-- schedule_edit: changes one live schedule or one pause, and tells the beats by a new version.
--
-- KEYS[1] live schedules hash: name -> "<added at, ms> <JSON>"
-- KEYS[2] pauses hash: name -> "<paused or resumed> <since, ms> <note>"
-- KEYS[3] version: counts the edits
-- ARGV[1] "add" (there is none), "set" (whether or not), "remove", "pause" or "resume"
-- ARGV[2] schedule name
-- ARGV[3] the JSON, or the note of a pause
-- ARGV[4] the most live schedules and pauses that are kept
--
-- Returns 1 done; 2 done, and it was paused before ("pause"); 0 there is one ("add"), there is none
-- ("remove"), or it is not paused ("resume"); -1 too many; -2, -3 or -4 when KEYS[1], KEYS[2] or
-- KEYS[3] holds what does not belong there. Below 1, nothing was changed.
--
-- If the caller dies right after: the edit stands, and the beats see it within a second.
for i = 1, 2 do
  if type(redis.pcall('HLEN', KEYS[i])) == 'table' then return -1 - i end
end
local version = redis.pcall('GET', KEYS[3])
-- What INCR would refuse after the edit was written.
local counts = type(version) == 'string' and #version < 18 and string.match(version, '^%d+$')
if version and not counts then return -4 end
local t = redis.call('TIME')
local done = 1
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local op, name, most = ARGV[1], ARGV[2], tonumber(ARGV[4])
if op == 'add' or op == 'set' then
  local before = redis.call('HGET', KEYS[1], name)
  if before and op == 'add' then return 0 end
  if not before and redis.call('HLEN', KEYS[1]) >= most then return -1 end
  local added = before and string.match(before, '^%d+') or now
  redis.call('HSET', KEYS[1], name, added .. ' ' .. ARGV[3])
elseif op == 'remove' then
  if redis.call('HDEL', KEYS[1], name) == 0 then return 0 end
  redis.call('HDEL', KEYS[2], name)
else
  local before = redis.call('HGET', KEYS[2], name)
  local paused = before and string.sub(before, 1, 6) == 'paused'
  if op == 'resume' and not paused then return 0 end
  if op == 'pause' and paused then done = 2 end
  if not before and redis.call('HLEN', KEYS[2]) >= most then return -1 end
  redis.call('HSET', KEYS[2], name, op .. 'd ' .. now .. ' ' .. ARGV[3])
end
redis.call('INCR', KEYS[3])
return done
