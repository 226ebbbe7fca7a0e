-- Takes the oldest command that nobody has given up.
-- KEYS: commands
-- Answers: its id, its text, until when it may be begun (ms of this clock), how many ms that are;
-- nothing when there is none.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 256)) do
  redis.call('XDEL', KEYS[1], entry[1])
  local of = {}
  for i = 1, #entry[2], 2 do
    of[entry[2][i]] = entry[2][i + 1]
  end
  local left = (tonumber(of.t) or 0) - now
  if left > 0 and of.c then
    return {of.r or entry[1], of.c, of.t, left}
  end
end
return false
