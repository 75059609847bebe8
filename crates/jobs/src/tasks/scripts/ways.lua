-- ways: what all workers know of proxies that fail for hosts.
--
-- KEYS[1] hash: of each failing way until when it rests, ms since 1970
-- ARGV[1] `rest` notes that a way failed; `serves` that it serves; `claim` asks to be the one who
--   tries it; `list` asks for all
-- ARGV[2] the way
-- ARGV[3] with `rest` for how long, with `claim` how long a try may take, ms
-- ARGV[4] how many ways are kept at most
--
-- Returns with `list` pairs of way and how long it rests yet, ms; with `claim` 1 for the one who
-- may try, else 0; otherwise how many ways are known.
--
-- If the caller dies right after: a way that it was to try is another's after ARGV[3].
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key, what, way = KEYS[1], ARGV[1], ARGV[2]
local function write(till)
  redis.call('HSET', key, way, string.format('%.0f', till))
  -- A day: no way rests for as long.
  redis.call('PEXPIRE', key, 86400000)
end
if redis.call('HLEN', key) > 2 * tonumber(ARGV[4]) then
  -- None of ours has so many.
  redis.call('UNLINK', key)
end
if what == 'list' then
  local all, left = redis.call('HGETALL', key), {}
  for idx = 1, #all, 2 do
    local rest = (tonumber(all[idx + 1]) or 0) - now
    if rest > 0 then left[#left + 1] = {all[idx], math.ceil(math.min(rest, 86400000))} end
  end
  return left
end
if what == 'claim' then
  local till = tonumber(redis.call('HGET', key, way) or '0') or 0
  if till > now then return 0 end
  write(now + ARGV[3])
  return 1
end
if what == 'serves' then
  redis.call('HDEL', key, way)
  return redis.call('HLEN', key)
end
if redis.call('HLEN', key) >= tonumber(ARGV[4]) and redis.call('HEXISTS', key, way) == 0 then
  -- No room: those whose rest is over go first.
  local all = redis.call('HGETALL', key)
  for idx = 1, #all, 2 do
    if (tonumber(all[idx + 1]) or 0) <= now then redis.call('HDEL', key, all[idx]) end
  end
  if redis.call('HLEN', key) >= tonumber(ARGV[4]) then return redis.call('HLEN', key) end
end
write(now + ARGV[3])
return redis.call('HLEN', key)
