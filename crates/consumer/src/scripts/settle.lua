-- settle: ends claims: acknowledges with what follows and a result, schedules again, or hands back.
--
-- KEYS[1] claims hash of this worker on this queue, its values as `claim` writes them
-- KEYS[2] scheduled zset of the queue
-- KEYS[3] deliveries hash of the queue
-- KEYS[4..3+ARGV[1]] the queue's lists, most urgent first
-- KEYS[after them] result keys, which are also the channels that results are published on, one for each result that is
--   not empty, in the order of the items
-- ARGV[1] how many lists
-- ARGV[2] the results' time to live, s
-- ARGV[3] how many items are simple: done, with nothing that follows; 0 to 100. For each of them two values:
--   claim number
--   the result, empty for none
-- ARGV[after them] how many other items, so that all are 1 to 100; then for each of them seven values and its followers:
--   claim number
--   the result, empty for none
--   what to do: "done", "schedule", "back" (to the consumer's end) or "leave" (to the producer's end)
--   schedule: when it is due, ms
--   schedule: the message; empty for the claimed one, unchanged
--   schedule: the message's list, 1 for the most urgent; 0 for the list that it came from
--   how many messages follow it (callbacks, the next step of its chain), at most 500 in all items together
--   for each of them its list, 1 for the most urgent, and the message
--
-- Returns the places among the items, from 1, of those that were late: the claim is no longer ours, nothing was changed.
--
-- An item for whose messages a list is of another type is passed over: its claim stands, and goes back when the key is gone.
-- Out of memory: HDEL comes first and frees, so that Redis lets the rest of the script pass.
-- A stored SUCCESS is never overwritten (Celery's rule); the message ends all the same.
-- What follows is pushed before the result is told, so that whoever sees the result finds it.
-- A simple item's message is not read, unless workers died with any of this queue: each byte that Lua sees costs.
-- If the caller dies right after: each item is wholly done, and repeating the call names all as late and changes nothing.
local COMPRESSED = '^%zcelery%-compressed%z[bz]' -- a SUCCESS of ours (crates/wire/src/result.rs)
local any_died = redis.call('TYPE', KEYS[3]).ok == 'hash'
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

local function store(to, result)
  if not redis.call('SET', to, result, 'EX', ARGV[2], 'NX') then
    local stored = redis.pcall('GET', to)
    if type(stored) == 'string' and (string.find(stored, '^{"status": ?"SUCCESS"') or string.find(stored, COMPRESSED)) then return end
    redis.call('SETEX', to, ARGV[2], result)
  end
  redis.call('PUBLISH', to, result)
end

-- Tells whether all lists that an item's messages go to can take them.
local function all_take(list, what, first, last)
  if (what == 'back' or what == 'leave') and not takes(KEYS[3 + list]) then return false end
  for f = first, last, 2 do
    if not takes(KEYS[3 + tonumber(ARGV[f])]) then return false end
  end
  return true
end

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
    local replaced = ARGV[a + 4] ~= ''
    if any_died and (what == 'done' or replaced) then forget_deaths(own) end
    if what == 'back' then
      redis.call('RPUSH', KEYS[3 + list], own)
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
    if result ~= '' then store(KEYS[key], result) end
  end
  a = a + 7 + 2 * followers
end
return late
