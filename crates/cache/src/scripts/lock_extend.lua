-- lock_extend: holds a lock longer, as redis-py's Lock.extend does.
--
-- KEYS[1] lock string: its holder's token
-- ARGV[1] token
-- ARGV[2] how long, ms
-- ARGV[3] "1": from now on; "0": in addition to what is left
--
-- Returns 1 when the caller holds it, 0 when another does, nobody, or it has no end.
--
-- If the caller dies right after: it ends by itself.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then return 0 end
if ARGV[3] == '1' then left = 0 end
redis.call('PEXPIRE', KEYS[1], left + ARGV[2])
return 1
