-- settle: ends claims: acknowledges with what follows and a result, schedules, or hands back.
--
-- KEYS[1] claims hash of this worker on this queue, its values as `claim` writes them
-- KEYS[2] scheduled zset of the queue
-- KEYS[3] deliveries hash of the queue
-- KEYS[4..] ARGV[1] lists of the queue, most urgent first; then a result key, which is also its
--   channel, for each result that is not empty, in the order of the items
-- ARGV[1] how many lists
-- ARGV[2] the results' time to live, s
-- ARGV[3] how many items are simple, done with nothing that follows: claim number and result each
-- ARGV[4..] the simple items, how many other items (1 to 100 with the simple ones), and those:
--   claim number, result (empty for none), "done", "schedule", "back" (to the consumer's end),
--   "died" (the same, and a death is counted as `reap` does) or "leave" (to the producer's end);
--   to schedule: due, ms, the message (empty for the claimed one; to "died" the death's line), its
--   list (1 the most urgent, 0 where it came from); how many messages follow (callbacks, the
--   chain's next step; at most 500 in all items together), and each of those: its list, the message
--
-- Returns the places, from 1, of late items: the claim is no longer ours, and nothing was changed.
--
-- An item for whose messages a list's key is of another type is passed over: its claim stands.
-- If the caller dies right after: each item is wholly done; a repeated call names all as late.
local COMPRESSED = '^%zcelery%-compressed%z[bz]' -- a SUCCESS of ours (crates/wire/src/result.rs)
local DEATHS_KEPT = 604800 -- s, as `reap` is told
local deaths_kind = redis.call('TYPE', KEYS[3]).ok
local any_died = deaths_kind == 'hash'
local late = {}
local item, key = 0, 3 + ARGV[1]

local function split(value)
  local list, message = string.match(value, '^(%d+):%d+:%d+:()')
  return list or '1', message and string.sub(value, message) or value
end

local function forget_deaths(own)
  local digest = redis.sha1hex(own)
  redis.call('HDEL', KEYS[3], digest, digest .. ':deaths')
end

local function count_death(own, line)
  if not any_died and deaths_kind ~= 'none' then return end
  local digest = redis.sha1hex(own)
  redis.call('HINCRBY', KEYS[3], digest, 1)
  local deaths = redis.call('HGET', KEYS[3], digest .. ':deaths') or ''
  redis.call('HSET', KEYS[3], digest .. ':deaths', string.sub(line .. deaths, 1, 4096))
  redis.call('EXPIRE', KEYS[3], DEATHS_KEPT)
  any_died = true
end

local function store(to, result)
  if not redis.call('SET', to, result, 'EX', ARGV[2], 'NX') then
    local stored = redis.pcall('GET', to)
    -- Celery's rule: a stored SUCCESS is never overwritten.
    if type(stored) == 'string'
      and (string.find(stored, '^{"status": ?"SUCCESS"') or string.find(stored, COMPRESSED)) then
      return
    end
    redis.call('SETEX', to, ARGV[2], result)
  end
  redis.call('PUBLISH', to, result)
end

-- Tells whether all lists that an item's messages go to can take them.
local function all_take(list, what, first, last)
  local goes_back = what == 'back' or what == 'died' or what == 'leave'
  if goes_back and not takes(KEYS[3 + list]) then return false end
  for f = first, last, 2 do
    if not takes(KEYS[3 + tonumber(ARGV[f])]) then return false end
  end
  return true
end

-- A simple item's message is not read, unless workers died with any of this queue. HDEL leads and
-- frees, here and below, so that a full Redis lets the rest pass.
local simple = 3 + 2 * ARGV[3]
for a = 4, simple, 2 do
  item = item + 1
  local value = any_died and redis.call('HGET', KEYS[1], ARGV[a])
  local held = redis.call('HDEL', KEYS[1], ARGV[a]) == 1
  local result = ARGV[a + 1]
  if result ~= '' then key = key + 1 end
  if not held then
    late[#late + 1] = item
  else
    if value then
      local _, own = split(value)
      forget_deaths(own)
    end
    if result ~= '' then store(KEYS[key], result) end
  end
end

local a = simple + 2
for _ = 1, tonumber(ARGV[simple + 1]) do
  item = item + 1
  local claim, result, what, followers = ARGV[a], ARGV[a + 1], ARGV[a + 2], tonumber(ARGV[a + 6])
  if result ~= '' then key = key + 1 end
  local value = redis.call('HGET', KEYS[1], claim)
  if not value then
    late[#late + 1] = item
  elseif all_take(split(value), what, a + 7, a + 6 + 2 * followers) then
    redis.call('HDEL', KEYS[1], claim)
    local list, own = split(value)
    local replaced = what ~= 'died' and ARGV[a + 4] ~= ''
    if any_died and (what == 'done' or replaced) then forget_deaths(own) end
    if what == 'back' or what == 'died' then
      redis.call('RPUSH', KEYS[3 + list], own)
      if what == 'died' then count_death(own, ARGV[a + 4]) end
    elseif what == 'leave' then
      redis.call('LPUSH', KEYS[3 + list], own)
    elseif what == 'schedule' then
      local to = ARGV[a + 5]
      if to == '0' then to = list end
      redis.call('ZADD', KEYS[2], ARGV[a + 3], to .. '|' .. (replaced and ARGV[a + 4] or own))
    end
    for f = a + 7, a + 6 + 2 * followers, 2 do
      redis.call('LPUSH', KEYS[3 + tonumber(ARGV[f])], ARGV[f + 1])
    end
    -- Last, so that whoever sees the result finds what follows.
    if result ~= '' then store(KEYS[key], result) end
  end
  a = a + 7 + 2 * followers
end
return late
