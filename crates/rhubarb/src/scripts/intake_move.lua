-- intake_move: moves tasks from an apalis-redis queue to one of ours, each exactly once.
--
-- KEYS[1] zset, apalis `:scheduled`
-- KEYS[2] list, apalis `:active`
-- KEYS[3] hash, apalis `:data`
-- KEYS[4] list, our queue
-- KEYS[5..] hash, apalis `:meta:<id>`, one for each task of ARGV, in the same order
-- ARGV[1] task id
-- ARGV[2] our message; an empty one only removes the task
-- ARGV[3..] further pairs of the same
--
-- Returns how many were moved. A task that is in neither place any more was moved by another
-- worker, or taken by an apalis worker, and is passed over.
--
-- If the caller dies right after: the moved tasks are in our queue and nowhere else; sending the
-- script again passes them over.
local moved = 0
for i = 1, #ARGV, 2 do
  local id, message = ARGV[i], ARGV[i + 1]
  -- The batch was read from the list's head in this order, so that each is found there at once.
  local removed = redis.call('LREM', KEYS[2], 1, id)
  if removed == 0 then removed = redis.call('ZREM', KEYS[1], id) end
  if removed > 0 then
    redis.call('HDEL', KEYS[3], id)
    redis.call('DEL', KEYS[4 + (i + 1) / 2])
    if message ~= '' then redis.call('LPUSH', KEYS[4], message) end
    moved = moved + 1
  end
end
return moved
