-- life_put: writes what is known of a keyword's postings, adds what has changed to its feed, and
-- keeps what webhooks are to be told.
--
-- KEYS[1] string: the record
-- KEYS[2] stream: the feed, one entry a change
-- KEYS[3] hash: the notices that wait, by their names, which begin with their time
-- ARGV[1] the record
-- ARGV[2] how long record and feed are kept, ms
-- ARGV[3] about how many entries the feed keeps
-- ARGV[4] how long notices are kept, ms
-- ARGV[5] how many notices are kept; the oldest go
-- ARGV[6] how many notices there are
-- ARGV[7..] of each notice name and message; then of each change nine values, in the order of
--   `names`; at most 1,000 changes
--
-- Returns the number of changes.
--
-- If the caller dies right after: nothing is left to do. Before: the next scrape finds the same
-- changes, because it is held against the old record.
local names = {
  'change', 'at', 'keyword', 'source', 'external_id', 'title', 'company', 'url', 'detail',
}
local function make(key, kind)
  if redis.call('TYPE', key).ok ~= kind then redis.call('DEL', key) end
end
-- The first write, so that a Redis without memory refuses it before anything has changed.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local at = 7 + 2 * tonumber(ARGV[6])
if at > 7 then
  make(KEYS[3], 'hash')
  for notice = 7, at - 1, 2 do redis.call('HSET', KEYS[3], ARGV[notice], ARGV[notice + 1]) end
  local waiting = redis.call('HKEYS', KEYS[3])
  table.sort(waiting)
  for idx = 1, #waiting - tonumber(ARGV[5]) do redis.call('HDEL', KEYS[3], waiting[idx]) end
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
if at > #ARGV then return 0 end
make(KEYS[2], 'stream')
local n = 0
for first = at, #ARGV, #names do
  local entry = {}
  for idx, name in ipairs(names) do
    entry[2 * idx - 1] = name
    entry[2 * idx] = ARGV[first + idx - 1]
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(entry))
  n = n + 1
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return n
