-- count: adds to the counters of a cache's namespaces.
--
-- KEYS[1] hash: "<what>:<namespace>" -> number
-- ARGV[1] how many fields there may be; what is new beyond them is counted under "<what>:(other)"
-- ARGV[2] how long the counters stay without a count, ms
-- ARGV[3..] three at a time: what, namespace, how many
--
-- Returns the number of fields.
--
-- If the caller dies right after: all is counted; counting again counts twice.
local fields = redis.call('HLEN', KEYS[1])
for i = 3, #ARGV, 3 do
  local field = ARGV[i] .. ':' .. ARGV[i + 1]
  if fields >= tonumber(ARGV[1]) and redis.call('HEXISTS', KEYS[1], field) == 0 then
    field = ARGV[i] .. ':(other)'
  end
  if redis.call('HINCRBY', KEYS[1], field, ARGV[i + 2]) == tonumber(ARGV[i + 2]) then
    fields = redis.call('HLEN', KEYS[1])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return fields
