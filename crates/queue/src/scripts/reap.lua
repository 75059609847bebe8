-- reap: renews the caller's lease, and gives the claims of workers whose lease has ended back to the queue.
--
-- KEYS[1] leases zset of the queue: worker id -> end of its lease, ms
-- KEYS[2] deliveries hash of the queue: sha1 of a message -> how often a worker died with it, and `<sha1>:deaths` -> when
--   (seen by a reaper) and whose, newest first, `<ms> <worker id>` a line, at most 4,096 bytes
-- KEYS[3..] the queue's lists, most urgent first
-- ARGV[1] the prefix of the claims hashes; with a worker id behind it, it is that worker's (same hash tag), its values as
--   `claim` writes them
-- ARGV[2] how long the deliveries hash is kept without a change, s
-- ARGV[3] the caller's worker id
-- ARGV[4] the lease, ms; 0 when the caller holds no claims on this queue
--
-- Returns {worker id, how many given back, ...} for each worker that had claims.
--
-- At most 10 workers with claims, 100 without and 500 claims a call; what is left waits for the next call. Messages go
-- to the consumer's end, the oldest claim next to be taken, so that the order is kept.
-- A claim whose list's key is of another type stays where it is until that key is gone.
-- Out of memory: once a script has written, Redis lets the rest of it pass; the ZREM of nobody leads for that.
-- If the caller dies right after: each claim is either still held by the dead worker or back in its list.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREM', KEYS[1], '')
if ARGV[4] ~= '0' then redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[3]) end
local out, left = {}, 500
-- Where a key of another type stands in place of the deliveries, nobody counts.
local kind = redis.call('TYPE', KEYS[2]).ok
local counts = kind == 'hash' or kind == 'none'
local function count_death(worker, own)
  local digest = redis.sha1hex(own)
  redis.call('HINCRBY', KEYS[2], digest, 1)
  local deaths = redis.call('HGET', KEYS[2], digest .. ':deaths') or ''
  deaths = string.sub(string.format('%.0f', now) .. ' ' .. worker .. '\n' .. deaths, 1, 4096)
  redis.call('HSET', KEYS[2], digest .. ':deaths', deaths)
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)
for _, worker in ipairs(dead) do
  if left == 0 or #out == 20 then break end
  local claims = ARGV[1] .. worker
  local numbers = redis.call('HKEYS', claims)
  table.sort(numbers, function(a, b) return tonumber(a) > tonumber(b) end)
  local given = 0
  for _, number in ipairs(numbers) do
    if left == 0 then break end
    local value = redis.call('HGET', claims, number)
    local list, message = string.match(value, '^(%d+):%d+:%d+:()')
    local own = message and string.sub(value, message) or value
    -- A list that is no more (fewer priority steps by now) is the most urgent one's.
    local key = KEYS[2 + (list or 1)] or KEYS[3]
    left = left - 1
    if takes(key) then
      redis.call('HDEL', claims, number)
      redis.call('RPUSH', key, own)
      if counts then count_death(worker, own) end
      given = given + 1
    end
  end
  if given > 0 then
    redis.call('EXPIRE', KEYS[2], ARGV[2])
    out[#out + 1] = worker
    out[#out + 1] = given
  end
  if redis.call('EXISTS', claims) == 0 then
    redis.call('ZREM', KEYS[1], worker)
  end
end
return out
