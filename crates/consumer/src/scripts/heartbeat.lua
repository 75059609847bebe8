-- heartbeat: keeps a worker in the registry, and tells it which shares of tasks are ours.
--
-- KEYS[1] workers zset: worker id -> end of its lease, ms
-- KEYS[2] the worker's record
-- KEYS[3] shares hash: task -> percent
-- ARGV[1] worker id
-- ARGV[2] record
-- ARGV[3] lease, ms
-- ARGV[4] how long the record outlives the worker, s
-- ARGV[5] the channel of a sign of life, empty for none
-- ARGV[6] the sign of life
-- ARGV[7] how many shares there may be
--
-- Returns {task, percent, ...}; nothing of a key that is no hash or has more than ARGV[7]. At most
-- 100 workers are forgotten whose lease ended over ARGV[4] ago.
--
-- If the caller dies right after: the worker is shown as lost when its lease ends, and forgotten
-- later.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- Of nobody: once a script has written, a full Redis lets the rest of it pass.
redis.call('ZREM', KEYS[1], '')
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[4])
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[6]) end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[4] * 1000, 'LIMIT', 0, 100)
for _, worker in ipairs(gone) do redis.call('ZREM', KEYS[1], worker) end
if redis.call('TYPE', KEYS[3]).ok ~= 'hash' then return {} end
if redis.call('HLEN', KEYS[3]) > tonumber(ARGV[7]) then return {} end
return redis.call('HGETALL', KEYS[3])
