-- intake_peek: shows the next due tasks of an apalis-redis queue, and takes none.
--
-- KEYS[1] zset, apalis `:scheduled`: task id by due time, s
-- KEYS[2] list, apalis `:active`: ids of due tasks, oldest first
-- KEYS[3] hash, apalis `:data`: payload by task id
-- ARGV[1] how many at the most
-- ARGV[2] how many bytes of payload at the most; the first task is shown whatever its size
--
-- Returns {id, payload, id, payload, …}; a payload is false when apalis has lost it.
--
-- If the caller dies right after: nothing has changed.
local limit, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local ids = redis.call('LRANGE', KEYS[2], 0, limit - 1)
if #ids < limit then
  local now = redis.call('TIME')[1]
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, limit - #ids)
  for _, id in ipairs(due) do ids[#ids + 1] = id end
end
local shown = {}
for _, id in ipairs(ids) do
  room = room - redis.call('HSTRLEN', KEYS[3], id)
  if room < 0 and #shown > 0 then break end
  shown[#shown + 1] = id
  shown[#shown + 1] = redis.call('HGET', KEYS[3], id)
end
return shown
