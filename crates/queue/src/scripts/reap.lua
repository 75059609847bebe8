-- reap: renews the caller's lease, and gives back the claims of workers whose lease has ended.
--
-- KEYS[1] leases zset: worker id -> its lease's end, ms; the fraction n/4: granted n times on end
-- KEYS[2] deliveries hash: sha1 of a message -> how often a worker died with it; `<sha1>:deaths` ->
--   when a reaper saw it, and whose: `<ms> <worker id>` a line, newest first, at most 4,096 bytes
-- KEYS[3] looks hash: `at` -> when this was last called, ms; `<lease ms>` -> when by such a worker
-- KEYS[4..] the queue's lists, most urgent first
-- ARGV[1] prefix of the claims hashes; a worker's id behind it (same hash tag) names its own
-- ARGV[2] how long the deliveries and looks hashes are kept without a change, s
-- ARGV[3] the caller's worker id
-- ARGV[4] the caller's lease, ms; 0 for a caller that is no worker
-- ARGV[5] 1 when the caller holds claims on this queue, else 0
-- ARGV[6] how many claims to give back at the most, 0 to 500
--
-- Returns {how many leases were granted one more period, worker id, its claims given back, ...}: at
-- most 10 workers with claims, and 100 without; what is left waits for the next call.
--
-- The oldest claim is the next to be taken. Why leases are granted: docs/internals/leases.md.
-- If the caller dies right after: each claim is held by the dead worker still, or in its list.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- Of nobody: once a script has written, a full Redis lets the rest of it pass.
redis.call('ZREM', KEYS[1], '')

-- Notes this call; tells whether leases may have ended by nobody's fault, and the longest there is.
local function look()
  if redis.call('HLEN', KEYS[3]) > 100 then redis.call('DEL', KEYS[3]) end
  local own, noted = tonumber(ARGV[4]), redis.call('HGETALL', KEYS[3])
  local last, shortest, longest = nil, math.huge, 0
  for i = 1, #noted, 2 do
    if noted[i] == 'at' then last = tonumber(noted[i + 1]) end
  end
  redis.call('HSET', KEYS[3], 'at', now)
  if own > 0 then redis.call('HSET', KEYS[3], own, now) end
  redis.call('EXPIRE', KEYS[3], ARGV[2])
  for i = 1, #noted + 1, 2 do
    local lease, at = tonumber(noted[i] or own), tonumber(noted[i + 1] or now)
    if lease and lease > 0 and at then
      if lease ~= own and last and last - at > 10 * lease then
        redis.call('HDEL', KEYS[3], noted[i])
      else
        shortest, longest = math.min(shortest, lease), math.max(longest, lease)
      end
    end
  end
  if longest == 0 then shortest, longest = 15000, 15000 end
  return not last or math.abs(now - last) > shortest / 2, longest
end

local function grant(lease)
  local granted, all = 0, redis.call('ZRANGE', KEYS[1], 0, 999, 'WITHSCORES')
  for i = 1, #all, 2 do
    local ends = tonumber(all[i + 1])
    local times = (ends % 1) * 4
    -- No third time: a fleet whose calls always come late still finds its dead.
    if times < 2 then
      redis.call('ZADD', KEYS[1], string.format('%.2f', now + lease + (times + 1) / 4), all[i])
      granted = granted + 1
    elseif ends > now + lease + 1 then
      redis.call('ZADD', KEYS[1], string.format('%.2f', now + lease + times / 4), all[i])
    end
  end
  return granted
end

local out, left = {0}, tonumber(ARGV[6])
-- Where a key of another type stands in place of the looks, nothing is granted.
local looks = redis.call('TYPE', KEYS[3]).ok
if looks == 'hash' or looks == 'none' then
  local away, longest = look()
  if away then out[1] = grant(longest) end
end
if ARGV[5] == '1' then redis.call('ZADD', KEYS[1], now + ARGV[4], ARGV[3]) end
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
  if left == 0 or #out == 21 then break end
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
    local key = KEYS[3 + (list or 1)] or KEYS[4]
    left = left - 1
    -- Else the claim stays until the key of another type is gone.
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
