-- adopt: moves unacknowledged messages of Python workers back to the lists of one queue.
--
-- KEYS[1] kombu's unacked hash: delivery tag -> JSON [message, exchange, routing key]
-- KEYS[2] kombu's unacked_index zset: delivery tag -> when it was delivered, s
-- KEYS[3] kombu's unacked_mutex string: its holder's token
-- KEYS[4..] the queue's lists, most urgent first
-- ARGV[1] our token
-- ARGV[2] how long we hold the lock from now on, ms
-- ARGV[3] the greatest score that is moved, s
-- ARGV[4..] for each of 1 to 100 items: delivery tag, the entry as it was read, the list (1 for the
--   most urgent), the message to put at its consumer's end; the last one is the next to be taken
--
-- Returns 1 moved or 0 left (acknowledged or delivered anew since it was read) for each item;
-- nothing when the lock is no longer ours: nothing was changed.
--
-- A list whose key is of another type is an error, and the message stays kombu's.
-- If the caller dies right after: what was moved is moved wholly, the rest is kombu's still, and
-- the lock ends by itself.
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return {} end
redis.call('PEXPIRE', KEYS[3], ARGV[2])
local out = {}
for a = 4, #ARGV, 4 do
  local tag = ARGV[a]
  local score = redis.call('ZSCORE', KEYS[2], tag)
  local moved = 0
  if score and tonumber(score) <= tonumber(ARGV[3])
    and redis.call('HGET', KEYS[1], tag) == ARGV[a + 1] then
    redis.call('RPUSH', KEYS[3 + ARGV[a + 2]], ARGV[a + 3])
    redis.call('ZREM', KEYS[2], tag)
    redis.call('HDEL', KEYS[1], tag)
    moved = 1
  end
  out[#out + 1] = moved
end
return out
