-- boards_put: keeps what was read of a board, and lets go of boards that nobody has read for long.
--
-- KEYS[1] hash: of each board its head (field `id`) and its parts (`id/1`, `id/2`, ...); under the
--         empty field how many bytes all of them have together
-- KEYS[2] zset: the boards by when they were kept last, ms
-- ARGV[1] the board's id
-- ARGV[2] the most bytes of all boards together
-- ARGV[3] the most boards
-- ARGV[4] how long they are kept when none is written, ms
-- ARGV[5] a board that was not kept again for so long gives way to others, ms
-- ARGV[6] `all` puts head and parts in the place of what was kept; `head` leaves the parts
-- ARGV[7..] the head, and with `all` the parts
--
-- Returns 1, or 0 where there is no room: then nothing is kept of this board. At most 100 boards
-- are let go of at a time: the next call goes on.
--
-- If the caller dies right after: nothing is left to do.
local hash, used, id = KEYS[1], KEYS[2], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function field(board, n)
  if n == 0 then return board end
  return board .. '/' .. n
end

-- Removes the fields of a board from the n-th on, and takes their bytes off the sum.
local function drop(board, n)
  local bytes = 0
  while true do
    local length = redis.call('HSTRLEN', hash, field(board, n))
    if length == 0 then break end
    redis.call('HDEL', hash, field(board, n))
    bytes = bytes + length
    n = n + 1
  end
  if bytes > 0 then redis.call('HINCRBY', hash, '', -bytes) end
end

local function forget(board)
  drop(board, 0)
  redis.call('ZREM', used, board)
end

local more = 0
for n = 0, #ARGV - 7 do
  more = more + #ARGV[n + 7] - redis.call('HSTRLEN', hash, field(id, n))
end

local function is_full()
  local bytes = tonumber(redis.call('HGET', hash, '') or '0')
  local others = redis.call('ZCARD', used) - (redis.call('ZSCORE', used, id) and 1 or 0)
  return bytes + more > tonumber(ARGV[2]) or others >= tonumber(ARGV[3])
end

local let_go = 0
while let_go < 100 and is_full() do
  local oldest = redis.call('ZRANGE', used, 0, 0, 'WITHSCORES')
  if not oldest[1] or oldest[1] == id or now - oldest[2] < tonumber(ARGV[5]) then break end
  forget(oldest[1])
  let_go = let_go + 1
end
if is_full() then
  forget(id)
  return 0
end
for n = 0, #ARGV - 7 do
  redis.call('HSET', hash, field(id, n), ARGV[n + 7])
end
redis.call('HINCRBY', hash, '', more)
if ARGV[6] == 'all' then drop(id, #ARGV - 6) end
redis.call('ZADD', used, now, id)
redis.call('PEXPIRE', hash, ARGV[4])
redis.call('PEXPIRE', used, ARGV[4])
return 1
