-- claim: takes messages from one queue's lists and records them as claimed, in one step.
--
-- KEYS[1] claims hash of this worker on this queue: claim number -> the message where it is from
--   the first list and begins with "{", as JSON does, else "<list>:<deliveries>:<ms>:<message>"
-- KEYS[2] leases zset of the queue: worker id -> end of its lease, ms
-- KEYS[3] scheduled zset of the queue: "<list>|<message>" -> due, ms
-- KEYS[4] pause of the queue: exists while it is paused
-- KEYS[5] deliveries hash of the queue, as `reap` writes it
-- KEYS[6..] the queue's lists, most urgent first; <list> above is 1 for KEYS[6]
-- ARGV[1] how many to take at the most, 1 to 100
-- ARGV[2] worker id
-- ARGV[3] lease, ms
-- ARGV[4] the number of the first claim; the next ones count up
-- ARGV[5] the greatest message that is handed out, bytes
-- ARGV[6] how many bytes of messages the answer may have; once that much is taken, no more is
--
-- Returns {now ms, state, at ms, item...}. state: 0 as much as fits, more may wait; 1 empty;
-- 2 paused. at: when the next scheduled message is due, -1 for none. item, in the claims' order:
-- the message; or {claim number, list, deliveries, size, message, deaths} where workers died with
-- it, or it is cut: to 4 kB and the last 64 kB where it is over ARGV[5], to nothing where it does
-- not fit beside the others.
--
-- Waiting messages go before those that have just fallen due. A list's key of another type gives
-- nothing, and is an error where the other lists are empty.
-- If the caller dies right after: `reap` gives the messages back when its lease has ended.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local n, max, room = tonumber(ARGV[1]), tonumber(ARGV[5]), tonumber(ARGV[6])
local out, number, bytes = {now, 0, -1}, tonumber(ARGV[4]), 0

-- GETEX counts as a write. Up to Redis 7.0 a read before the pops would have all of KEYS tracked,
-- and the pops wake the caller for nothing (ARCHITECTURE.md, How an idle worker is woken).
if redis.call('GETEX', KEYS[4]) then
  redis.call('EXISTS', KEYS[4])
  return {now, 2, -1}
end

local function tell(message, list, died, deaths, fits)
  if died == 0 and fits and #message <= max then return message end
  local handed = fits and message or ''
  if #message > max then handed = string.sub(message, 1, 4096) .. string.sub(message, -65536) end
  return {number, list, died, #message, handed, deaths}
end

local refused

-- Pops, and records what it has popped: nothing in between may fail. The pops come first and free,
-- so that a full Redis lets the record pass. Each message is made a Lua string once: that is most
-- of what it costs here (docs/internals/performance.md).
local function take()
  local lists, messages, records, fits = {}, {}, {}, true
  for list = 1, #KEYS - 5 do
    while n > 0 and bytes < room do
      local message = redis.pcall('RPOP', KEYS[5 + list])
      if not message then break end
      if type(message) == 'table' then
        refused = message
        break
      end
      messages[#messages + 1] = message
      lists[#messages] = list
      -- Over the greatest size only the two ends are handed out.
      bytes = bytes + (#message > max and 69632 or #message)
      fits = bytes <= room
      n = n - 1
    end
  end
  if #messages == 0 then return end
  local any_died = redis.call('TYPE', KEYS[5]).ok == 'hash'
  for i, message in ipairs(messages) do
    local list, died, deaths = lists[i], 0, ''
    if any_died then
      local digest = redis.sha1hex(message)
      died = tonumber(redis.call('HGET', KEYS[5], digest) or 0)
      if died > 0 then deaths = redis.call('HGET', KEYS[5], digest .. ':deaths') or '' end
    end
    local plain = list == 1 and string.byte(message) == 123
    records[2 * i - 1] = number
    records[2 * i] = plain and message or list .. ':' .. died .. ':' .. now .. ':' .. message
    out[#out + 1] = tell(message, list, died, deaths, fits or i < #messages)
    number = number + 1
  end
  redis.call('HSET', KEYS[1], unpack(records))
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
end
take()

if move_due(now) > 0 then take() end
if refused and number == tonumber(ARGV[4]) then return refused end

if n > 0 and bytes < room then
  out[2] = 1
  -- Read at the end: a caller with tracking is woken by the next change.
  redis.call('EXISTS', KEYS[4], unpack(KEYS, 6))
  local next_due = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
  if next_due[2] then out[3] = tonumber(next_due[2]) end
end
return out
