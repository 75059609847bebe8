-- letter: keeps a message apart (dead or parked), and has the oldest ones give way to the caps.
--
-- KEYS[1] index zset: letter id -> when it was kept, ms
-- KEYS[2] letters hash: letter id -> record
-- KEYS[3] string: how many bytes the records have together
-- ARGV[1] letter id; the same id again replaces the record; empty: only look at the caps
-- ARGV[2] record
-- ARGV[3] how many letters are kept
-- ARGV[4] how long a letter is kept, ms
-- ARGV[5] how many bytes the records may have together
--
-- Returns {letter id, why, ...} of those that had to give way; why is "age", "count" or "bytes".
-- After 100 there may be more: the caller asks again. What was just kept never gives way.
--
-- If the caller dies right after: the letter is kept; the claim that it came from is given back and
-- the same letter is written once more, so that nothing is lost and nothing doubled.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- Of nobody: once a script has written, a full Redis lets the rest of it pass.
redis.call('ZREM', KEYS[1], '')
local bytes = tonumber(redis.call('GET', KEYS[3]) or 0)
if ARGV[1] ~= '' then
  bytes = bytes + #ARGV[2] - redis.call('HSTRLEN', KEYS[2], ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
local count = redis.call('ZCARD', KEYS[1])
local gone = {}
while #gone < 200 do
  local oldest = redis.call('ZRANGE', KEYS[1], 0, 1, 'WITHSCORES')
  local id, at = oldest[1], oldest[2]
  if id == ARGV[1] then id, at = oldest[3], oldest[4] end
  local why
  if not id then break end
  if tonumber(at) <= now - tonumber(ARGV[4]) then
    why = 'age'
  elseif count > tonumber(ARGV[3]) then
    why = 'count'
  elseif bytes > tonumber(ARGV[5]) then
    why = 'bytes'
  else
    break
  end
  bytes = bytes - redis.call('HSTRLEN', KEYS[2], id)
  count = count - 1
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
  gone[#gone + 1] = id
  gone[#gone + 1] = why
end
if count == 0 then
  redis.call('DEL', KEYS[3])
else
  redis.call('SET', KEYS[3], string.format('%.0f', math.max(bytes, 0)))
end
return gone
