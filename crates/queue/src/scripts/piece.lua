-- piece: reads a part of one field of a hash, as HGETRANGE would, so that no answer is larger than
-- the reader can take.
--
-- KEYS[1] the hash
-- ARGV[1] the field
-- ARGV[2] how many bytes of its value to leave out at its beginning
-- ARGV[3] how many to read at the most
--
-- Returns {the value's whole size, the part}, or nothing where there is no such field.
--
-- If the caller dies right after: nothing was changed.
local value = redis.call('HGET', KEYS[1], ARGV[1])
return value and {#value, string.sub(value, ARGV[2] + 1, ARGV[2] + ARGV[3])}
