-- shares: reads which share of tasks our workers take. It changes nothing.
--
-- KEYS[1] the hash: task -> percent
-- ARGV[1] how many fields there may be
--
-- Returns {task, percent, ...}; nothing of a key that is no hash or has more.
--
-- If the caller dies right after: nothing has changed.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return {} end
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then return {} end
return redis.call('HGETALL', KEYS[1])
