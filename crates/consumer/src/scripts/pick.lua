-- pick: claims as `claim` does, but passes over messages whose tasks other workers run.
--
-- KEYS[1] claims hash of this worker: claim number -> "<list>:<deliveries>:<ms>:<message>"
-- KEYS[2..] as for `claim`
-- ARGV[1..] as for `claim`, up to ARGV[6]
-- ARGV[7] the list to begin with
-- ARGV[8] how many messages of that list, from the consumer's end, were passed over before
-- ARGV[9..] the tasks to pass over, two for each: its name, and how many of 100 of its messages are
--   not passed over, 0 for none; what is passed over stays where it is
--
-- Returns {now ms, state, at ms, list, passed over of it, passed over by this call, item...}; items
-- as `claim` gives those that workers died with. state: 0 as much as fits, 1 all was looked at,
-- 2 paused, 3 looked at 1,000 messages or 4 MB: the next call goes on at that list and number.
--
-- A message's task is the first "task" in its JSON text, its id the first "id"; one that has none,
-- or has it with escapes, is not passed over. Which of 100 it is, SHA-1 of its id says, as
-- `shares.rs` of the queue has it.
-- If the caller dies right after: as for `claim`; what was passed over was not touched.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local n, max, room = tonumber(ARGV[1]), tonumber(ARGV[5]), tonumber(ARGV[6])
local list, offset = tonumber(ARGV[7]), tonumber(ARGV[8])

if redis.call('EXISTS', KEYS[4]) == 1 then
  return {now, 2, -1, 1, 0, 0}
end
local over = {}
for a = 9, #ARGV, 2 do over[ARGV[a]] = tonumber(ARGV[a + 1]) end

move_due(now)

local function text_of(message, name)
  local _, colon = string.find(message, name, 1, true)
  return colon and string.match(message, '^ ?"([^"\\]*)"', colon + 1)
end

local function is_left(message)
  local task = text_of(message, '"task":')
  local share = task and over[task]
  if not share or share == 0 then return share end
  local id = text_of(message, '"id":')
  return id and tonumber(string.sub(redis.sha1hex(id), 1, 8), 16) % 100 >= share
end

local any_died = redis.call('TYPE', KEYS[5]).ok == 'hash'
local out = {now, 0, -1, 1, 0, 0}
local number, bytes, looked, read = tonumber(ARGV[4]), 0, 0, 0
while list <= #KEYS - 5 and n > 0 and bytes < room and looked < 1000 and read < 4194304 do
  local key = KEYS[5 + list]
  local message = redis.call('LINDEX', key, -1 - offset)
  if not message then
    list, offset = list + 1, 0
  else
    looked, read = looked + 1, read + #message
    if is_left(message) then
      offset = offset + 1
      out[6] = out[6] + 1
    else
      redis.call('LREM', key, -1, message)
      local died, deaths = 0, ''
      if any_died then
        local digest = redis.sha1hex(message)
        died = tonumber(redis.call('HGET', KEYS[5], digest) or 0)
        if died > 0 then deaths = redis.call('HGET', KEYS[5], digest .. ':deaths') or '' end
      end
      redis.call('HSET', KEYS[1], number, list .. ':' .. died .. ':' .. now .. ':' .. message)
      local handed = message
      if bytes + #message > room then handed = '' end
      if #message > max then
        handed = string.sub(message, 1, 4096) .. string.sub(message, -65536)
      end
      out[#out + 1] = {number, list, died, #message, handed, deaths}
      bytes = bytes + (handed == '' and room or #handed)
      number = number + 1
      n = n - 1
    end
  end
end
if #out > 6 then
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
end

if n > 0 and bytes < room then
  out[2] = 3
  if list > #KEYS - 5 then out[2] = 1 else out[4], out[5] = list, offset end
  for i = 6, #KEYS do redis.call('EXISTS', KEYS[i]) end
  redis.call('EXISTS', KEYS[4])
  local next_due = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  if next_due[2] then out[3] = tonumber(next_due[2]) end
end
return out
