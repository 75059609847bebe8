-- sample_unacked: reads what Python workers have not acknowledged, the newest first. It changes
-- nothing.
--
-- KEYS[1] kombu's index: delivery tag -> when it was delivered, s
-- KEYS[2] kombu's hash: delivery tag -> [message, exchange, routing key]
-- ARGV[1] only what was delivered at or after this time, s, as Redis writes scores; or -inf
-- ARGV[2] how many to pass over
-- ARGV[3] how many at the most, 1 to 1,000
-- ARGV[4] no further entry is read once this many bytes are
-- ARGV[5] the greatest entry that is returned, bytes; of a larger one only its size is
--
-- Returns {how many there are, score of the oldest, score of the newest, 1 where more may follow,
-- {size, entry}...}; the scores are empty texts where nothing is there. Keys of other types are
-- empty.
--
-- If the caller dies right after: nothing has changed.
local function is(key, kind) return redis.call('TYPE', key).ok == kind end
if not is(KEYS[1], 'zset') or not is(KEYS[2], 'hash') then return {0, '', '', 0} end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local out = {redis.call('ZCARD', KEYS[1]), oldest[2], newest[2], 0}
local tags = redis.call(
  'ZREVRANGEBYSCORE', KEYS[1], '+inf', ARGV[1], 'LIMIT', ARGV[2], ARGV[3])
local enough, max, bytes = tonumber(ARGV[4]), tonumber(ARGV[5]), 0
for i, tag in ipairs(tags) do
  local size = redis.call('HSTRLEN', KEYS[2], tag)
  local fits = size <= max
  out[#out + 1] = {size, fits and redis.call('HGET', KEYS[2], tag) or ''}
  bytes = bytes + (fits and size or 0)
  if bytes >= enough then
    out[4] = 1
    return out
  end
end
if #tags == tonumber(ARGV[3]) then out[4] = 1 end
return out
