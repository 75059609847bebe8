-- incr: adds to a number that is there.
--
-- KEYS[1] cache value: an int's digits
-- ARGV[1] what is added, an int
--
-- Returns the sum; nil when there is no such key.
--
-- If the caller dies right after: it is added; adding again adds twice.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
return redis.call('INCRBY', KEYS[1], ARGV[1])
