-- chord_part: counts one part of a chord, once, and decides who publishes the chord's body. The
-- layout is Celery's (celery/backends/redis.py, 5.7.0; 5.4 counts by `.j` alone, as this does).
--
-- KEYS[1] <group>.j, zset: the parts, `[1, task id, state, result]`, by their index
-- KEYS[2] <group>.t, string: how many parts were added later
-- KEYS[3] <group>.s, string: how many parts there are; absent once the chord has ended
-- KEYS[4] <group>.d, set: `<task id>:<index>` of the parts that were counted
-- KEYS[5] <group>, string: the group's results as a tree, where they are nested
-- KEYS[6] <group>.c, string: who publishes the body, later "done"
-- KEYS[7] the part's own result key, which is also the channel
-- KEYS[8] claims hash of this worker on the part's queue
-- ARGV[1] the part's `<task id>:<index>`
-- ARGV[2] the part
-- ARGV[3] its index, or "+inf"
-- ARGV[4] how long the chord's keys are kept, s
-- ARGV[5] how long the right to publish lasts, s
-- ARGV[6] who we are; the same for each delivery of the same part
-- ARGV[7] the claim's number; empty where the part is not what is claimed
-- ARGV[8] the part's own result, stored and published first; empty for none
-- ARGV[9] the result's time to live, s
--
-- Returns -2 the claim is no longer ours and nothing was changed, -1 the chord has ended, 0
-- counted, 1 publish the body.
--
-- If the caller dies right after: its claim is given back, the part runs again, counts no second
-- time, and is told again to publish if it was.
local COMPRESSED = '^%zcelery%-compressed%z[bz]' -- a SUCCESS of ours (crates/wire/src/result.rs)
if ARGV[7] ~= '' and redis.call('HEXISTS', KEYS[8], ARGV[7]) == 0 then
  return -2
end
-- Of nobody: once a script has written, a full Redis lets the rest of it pass.
redis.call('ZREM', KEYS[1], '')
if ARGV[8] ~= '' then
  local stored = redis.call('GET', KEYS[7])
  local stands = stored
    and (string.find(stored, '^{"status": ?"SUCCESS"') or string.find(stored, COMPRESSED))
  if not stands then
    redis.call('SETEX', KEYS[7], ARGV[9], ARGV[8])
    redis.call('PUBLISH', KEYS[7], ARGV[8])
  end
end
if redis.call('GET', KEYS[6]) == 'done' then
  return -1
end
if redis.call('SADD', KEYS[4], ARGV[1]) == 1 then
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[2])
end
for key = 1, 5 do
  redis.call('EXPIRE', KEYS[key], ARGV[4])
end
local size = redis.call('GET', KEYS[3])
if not size then return 0 end
local added = tonumber(redis.call('GET', KEYS[2]) or 0)
if redis.call('ZCARD', KEYS[1]) ~= tonumber(size) + added then return 0 end
if redis.call('GET', KEYS[6]) == ARGV[6]
  or redis.call('SET', KEYS[6], ARGV[6], 'NX', 'EX', ARGV[5]) then
  redis.call('EXPIRE', KEYS[6], ARGV[5])
  return 1
end
return 0
