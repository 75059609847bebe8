-- mark_revoked: stores and publishes REVOKED for a task that has not begun.
--
-- KEYS[1] result key, which is also the channel
-- ARGV[1] time to live, s
-- ARGV[2] the record
--
-- Returns 1 stored, 0 left alone.
--
-- Celery's rule (celery/worker/control.py, 5.7.0): nothing stored, RECEIVED, RETRY and REJECTED
-- give way; a final state, STARTED and states of a task's own making stand.
-- If the caller dies right after: the record is stored and published.
local stored = redis.call('GET', KEYS[1])
if stored then
  local status = string.match(stored, '"status": ?"([^"]*)"')
  local before = {PENDING = true, RECEIVED = true, RETRY = true, REJECTED = true}
  if not before[status] then return 0 end
end
redis.call('SETEX', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[2])
return 1
