-- settle: ends claims: acknowledges with what follows and a result, schedules again, or hands back.
--
-- KEYS[1] claims hash of this worker on this queue
-- KEYS[2] scheduled zset of the queue
-- KEYS[3] deliveries hash of the queue
-- KEYS[4..3+ARGV[1]] the queue's lists, most urgent first
-- KEYS[after them] result keys, which are also the channels that results are published on
-- ARGV[1] how many lists
-- ARGV[2] how many items, 1 to 100; then for each item nine values and its followers:
--   claim number
--   what to do: "done", "schedule", "back" (to the consumer's end) or "leave" (to the producer's end)
--   the index in KEYS of its result key, 0 for none
--   the result's time to live, s
--   the result
--   schedule: when it is due, ms
--   schedule: the message; empty for the claimed one, unchanged
--   schedule: the message's list, 1 for the most urgent; 0 for the list that it came from
--   how many messages follow it (callbacks, the next step of its chain), at most 500 in all items together
--   for each of them its list, 1 for the most urgent, and the message
--
-- Returns one number an item: 1 done, 0 late (the claim is no longer ours: nothing was changed).
--
-- Out of memory: HDEL comes first and frees, so that Redis lets the rest of the script pass.
-- A stored SUCCESS is never overwritten (Celery's rule); the message ends all the same.
-- What follows is pushed before the result is told, so that whoever sees the result finds it.
-- If the caller dies right after: each item is wholly done, and repeating the call answers 0 and changes nothing.
local COMPRESSED = '^%zcelery%-compressed%z[bz]' -- a SUCCESS of ours (crates/wire/src/result.rs)
local lists, items = tonumber(ARGV[1]), tonumber(ARGV[2])
local any_died = redis.call('EXISTS', KEYS[3]) == 1
local out = {}
local a = 3
for _ = 1, items do
  local claim, what, followers = ARGV[a], ARGV[a + 1], tonumber(ARGV[a + 8])
  local value = redis.call('HGET', KEYS[1], claim)
  if not value then
    out[#out + 1] = 0
  else
    redis.call('HDEL', KEYS[1], claim)
    local list, message = string.match(value, '^(%d+):%d+:%d+:()')
    local own = string.sub(value, message)
    local replaced = ARGV[a + 6] ~= ''
    if any_died and (what == 'done' or replaced) then
      local digest = redis.sha1hex(own)
      redis.call('HDEL', KEYS[3], digest, digest .. ':deaths')
    end
    if what == 'back' then
      redis.call('RPUSH', KEYS[3 + list], own)
    elseif what == 'leave' then
      redis.call('LPUSH', KEYS[3 + list], own)
    elseif what == 'schedule' then
      local to = ARGV[a + 7]
      if to == '0' then to = list end
      redis.call('ZADD', KEYS[2], ARGV[a + 5], to .. '|' .. (replaced and ARGV[a + 6] or own))
    end
    for f = a + 9, a + 8 + 2 * followers, 2 do
      redis.call('LPUSH', KEYS[3 + tonumber(ARGV[f])], ARGV[f + 1])
    end
    local key = tonumber(ARGV[a + 2])
    if key > 0 then
      local stored = redis.call('GET', KEYS[key])
      if not (stored and (string.find(stored, '^{"status": ?"SUCCESS"') or string.find(stored, COMPRESSED))) then
        redis.call('SETEX', KEYS[key], ARGV[a + 3], ARGV[a + 4])
        redis.call('PUBLISH', KEYS[key], ARGV[a + 4])
      end
    end
    out[#out + 1] = 1
  end
  a = a + 9 + 2 * followers
end
return out
