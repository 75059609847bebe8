-- reply: pushes a reply to the client that asked, if it still waits.
--
-- KEYS[1] the set in which waiting clients are bound
-- KEYS[2] the list that the client reads
-- ARGV[1] the client's member of that set
-- ARGV[2] the reply
-- ARGV[3] how long a reply that nobody reads is kept, s
--
-- Returns 1 pushed, 0 the client has gone.
--
-- Not by LPUSH alone: the list of a client that has gone would never be deleted.
-- If the caller dies right after: the client has the reply, or the list ends by itself.
if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[2])
if redis.call('TTL', KEYS[2]) < 0 then redis.call('EXPIRE', KEYS[2], ARGV[3]) end
return 1
