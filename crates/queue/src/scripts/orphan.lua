-- orphan: gives claims whose worker has no lease one, so that they are given back by `reap`.
--
-- KEYS[1] leases zset of the queue: worker id -> end of its lease, ms
-- KEYS[2] claims hash of the worker on this queue
-- KEYS[3] looks hash of the queue; `<lease ms>` -> when by a worker of that lease
-- ARGV[1] the worker's id
-- ARGV[2] how long it has to come back, ms, or the longest lease of the queue's workers if longer
--
-- Returns how many claims these are; 0 where there are none, or where it has a lease by now.
--
-- If the caller dies right after: whoever reaps next gives the claims back when that time has
-- passed; a worker that lives renews its lease as ever.
redis.call('ZREM', KEYS[1], '')
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then return 0 end
local grace, t = tonumber(ARGV[2]), redis.call('TIME')
if redis.call('TYPE', KEYS[3]).ok == 'hash' then
  for _, lease in ipairs(redis.call('HKEYS', KEYS[3])) do
    grace = math.max(grace, tonumber(lease) or 0)
  end
end
redis.call('ZADD', KEYS[1], t[1] * 1000 + math.floor(t[2] / 1000) + grace, ARGV[1])
return redis.call('HLEN', KEYS[2])
