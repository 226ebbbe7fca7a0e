-- Puts a command where listeners find it.
-- KEYS: commands
-- ARGV: text, until when it may be taken (ms of this clock), most commands that wait
-- Answers its id; '' when it is too late; 'full' when too many wait.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now >= tonumber(ARGV[2]) then
  return ''
end
local most = tonumber(ARGV[3])
if redis.call('XLEN', KEYS[1]) >= most then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
    local ends = 0
    for i = 1, #entry[2], 2 do
      if entry[2][i] == 't' then
        ends = tonumber(entry[2][i + 1]) or 0
      end
    end
    if now >= ends then
      redis.call('XDEL', KEYS[1], entry[1])
    end
  end
  if redis.call('XLEN', KEYS[1]) >= most then
    return 'full'
  end
end
return redis.call('XADD', KEYS[1], '*', 'c', ARGV[1], 't', ARGV[2])
