-- state: stores and publishes a task's state, unless it would overwrite a later one.
--
-- KEYS[1] result key, which is also the channel
-- ARGV[1] time to live, s
-- ARGV[2] the state record
-- ARGV[3] "final": only a stored SUCCESS stands; "passing": any stored final state stands
--
-- Returns 1 stored, 0 left alone.
--
-- Out of memory a final state is stored all the same, as its message ends next; a passing one not.
-- If the caller dies right after: the record is stored and published.
local stored = redis.call('GET', KEYS[1])
if stored then
  local status = string.match(stored, '^{"status": ?"([^"]*)"')
  -- A compressed result by a short name of its method is a SUCCESS of ours
  -- (crates/wire/src/result.rs).
  if status == 'SUCCESS' or string.find(stored, '^%zcelery%-compressed%z[bz]') then return 0 end
  if ARGV[3] == 'passing' and (status == 'FAILURE' or status == 'REVOKED') then return 0 end
end
-- Changes nothing that the next line does not; after it Redis lets that pass.
if ARGV[3] == 'final' then redis.call('PERSIST', KEYS[1]) end
redis.call('SETEX', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[2])
return 1
