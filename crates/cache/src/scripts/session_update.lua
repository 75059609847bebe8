-- session_update: writes a session back, if it is still what was read.
--
-- KEYS[1] string: the session
-- ARGV[1] the bytes that were read
-- ARGV[2] the bytes to write
-- ARGV[3] how long the session is kept from now, ms, above 0
-- ARGV[4] how many bytes of what somebody else wrote are wanted at most
--
-- Returns {1, ''} when written, {0, ''} when there is no such session (any more), {-1, bytes} when
-- somebody else has written these meanwhile.
--
-- Out of memory SET is refused, and the session stays as it was.
-- If the caller dies right after: the session is written.
local stored = redis.call('GET', KEYS[1])
if not stored then
  return {0, ''}
end
if stored ~= ARGV[1] then
  return {-1, string.sub(stored, 1, tonumber(ARGV[4]))}
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return {1, ''}
