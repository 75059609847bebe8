-- swap: replaces a value that nobody has changed; its timeout stays.
--
-- KEYS[1] cache value
-- ARGV[1] its bytes as they were read
-- ARGV[2] the new bytes
--
-- Returns 1 when it was replaced, 0 when it is another one by now, or gone.
--
-- If the caller dies right after: it is replaced.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
