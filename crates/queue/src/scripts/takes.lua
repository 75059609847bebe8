-- takes: the part of `settle` and `reap` that tells whether a key can take a message.
--
-- KEYS those of the queue's lists
-- ARGV none
--
-- Returns, as a function of a key, false where a key of another type stands in a list's place: what
-- was to go there stays where it is, since no script is undone when it fails half-way.
--
-- If the caller dies right after: nothing was changed.
local function takes(key)
  local kind = redis.call('TYPE', key).ok
  return kind == 'list' or kind == 'none'
end

