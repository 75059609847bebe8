-- lock_release: gives back a lock, as redis-py's Lock.release does.
--
-- KEYS[1] lock string: its holder's token
-- ARGV[1] token
--
-- Returns 1 when the caller held it, 0 when another does or nobody.
--
-- If the caller dies right after: it is free.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1
