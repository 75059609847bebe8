-- life_put: writes what is known of a keyword's postings, and adds what has changed to its feed.
--
-- KEYS[1] string: the record
-- KEYS[2] stream: the feed, one entry a change
-- ARGV[1] the record
-- ARGV[2] how long both are kept, ms
-- ARGV[3] about how many entries the feed keeps
-- ARGV[4..] of each change nine values, in the order of `names`; at most 1,000 changes
--
-- Returns the number of changes.
--
-- If the caller dies right after: nothing is left to do. Before: the next scrape finds the same
-- changes, because it is held against the old record.
local names = {
  'change', 'at', 'keyword', 'source', 'external_id', 'title', 'company', 'url', 'detail',
}
-- The first write, so that a Redis without memory refuses it before anything has changed.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if redis.call('TYPE', KEYS[2]).ok ~= 'stream' then redis.call('DEL', KEYS[2]) end
local n = 0
for at = 4, #ARGV, #names do
  local entry = {}
  for idx, name in ipairs(names) do
    entry[2 * idx - 1] = name
    entry[2 * idx] = ARGV[at + idx - 1]
  end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(entry))
  n = n + 1
end
if n > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return n
