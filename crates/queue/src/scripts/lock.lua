-- lock: takes, keeps or releases a lock with an owner and an end.
--
-- KEYS[1] lock string: the owner
-- ARGV[1] "acquire", "renew" or "release"
-- ARGV[2] owner
-- ARGV[3] how long it is held without a renewal, ms
--
-- Returns 1 when the caller holds it now (release: held it), 0 when another does or nobody.
--
-- If the caller dies right after: the lock ends by itself after ARGV[3].
local owner = redis.call('GET', KEYS[1])
if ARGV[1] == 'acquire' and not owner then
  -- Changes nothing; after it Redis lets the SET pass, also when it is out of memory.
  redis.call('PERSIST', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
if owner ~= ARGV[2] then return 0 end
if ARGV[1] == 'release' then
  redis.call('DEL', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
