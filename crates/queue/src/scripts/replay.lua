-- replay: moves letters (dead or parked) back to one queue, as if they had never been delivered.
--
-- KEYS[1] index zset of the letters: letter id -> when it was kept, ms
-- KEYS[2] letters hash: letter id -> record
-- KEYS[3] string: how many bytes the records have together
-- KEYS[4] deliveries hash of the queue: what is known of workers that died with a message
-- KEYS[5..] the queue's lists, most urgent first
-- ARGV[1..] for each of 1 to 100 items: letter id, the record as it was read, the list (1 for the
--   most urgent), the message to put at its consumer's end; the last one is the next to be taken
--
-- Returns 1 moved or 0 left (replayed, replaced or dropped since it was read) for each item.
--
-- A list whose key is of another type is an error, and the letter stays.
-- If the caller dies right after: each message is either still kept or in its list, never both.
local out, bytes = {}, 0
for a = 1, #ARGV, 4 do
  local moved = 0
  if redis.call('HGET', KEYS[2], ARGV[a]) == ARGV[a + 1] then
    local digest = redis.sha1hex(ARGV[a + 3])
    redis.call('HDEL', KEYS[4], digest, digest .. ':deaths')
    redis.call('RPUSH', KEYS[4 + ARGV[a + 2]], ARGV[a + 3])
    redis.call('HDEL', KEYS[2], ARGV[a])
    redis.call('ZREM', KEYS[1], ARGV[a])
    bytes = bytes + #ARGV[a + 1]
    moved = 1
  end
  out[#out + 1] = moved
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('DEL', KEYS[3])
elseif bytes > 0 then
  redis.call('DECRBY', KEYS[3], bytes)
end
return out
