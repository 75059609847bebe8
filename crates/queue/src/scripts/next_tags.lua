-- next_tags: tells of each list of a queue the message that runs next. It changes nothing.
--
-- KEYS[..] lists
-- ARGV[1] how many bytes of a message's end are returned at the most
--
-- Returns the end of the last element of each list, as kombu's JSON has the delivery tag there; an
-- empty text of an empty list, and of a key that is no list.
--
-- A part of it: a message may be large, and what is wanted is its tag.
-- If the caller dies right after: nothing has changed.
local out = {}
for i = 1, #KEYS do
  local one = redis.pcall('LINDEX', KEYS[i], -1)
  out[i] = type(one) == 'string' and string.sub(one, -tonumber(ARGV[1])) or ''
end
return out
