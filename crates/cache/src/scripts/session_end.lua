-- session_end: ends a session, by deleting it or by leaving another in its place.
--
-- KEYS[1] string: the session
-- ARGV[1] the bytes to leave in its place; empty: none, the key is deleted
-- ARGV[2] how long what is left stays, ms, or as long as the session would have if that is longer
-- ARGV[3] the bytes that were read: only a session that is still these is ended; absent: any is
--
-- Returns 1 when ended, 0 when there is no such session, or only what is left of an ended one, -1
-- when it is not what was read.
--
-- If the caller dies right after: the session has ended.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
if ARGV[3] and redis.call('GET', KEYS[1]) ~= ARGV[3] then
  return -1
end
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) == ARGV[1] then
  return 0
end
local left = redis.call('PTTL', KEYS[1])
redis.call('UNLINK', KEYS[1])
if ARGV[1] ~= '' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', math.max(left, ARGV[2]))
end
return 1
