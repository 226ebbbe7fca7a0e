-- Takes a batch of updates in, whole or not at all.
-- KEYS: flow, last, order, sources
-- ARGV: most entries, longest age in ms, 1 to begin anew, number of shards;
--   for each shard: its number, the EPOCH-SEQ that must be there (the newest one when beginning anew);
--   for each update: shard, EPOCH-SEQ, subject, text, pair, what (s source's price, w withdrawal)
-- Answers how many were taken; -1 when something that must be there is not.
local flow, last, order, sources = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local anew = ARGV[3] == '1'
local heard, begun = {}, {}
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  local shard, mark = ARGV[at], ARGV[at + 1]
  local stored = redis.call('HGET', order, shard) or ''
  if anew then
    -- What a later epoch has put here stays.
    if string.sub(stored, 1, 20) <= string.sub(mark, 1, 20) then
      stored = ''
      begun[shard] = true
    end
  elseif stored < mark then
    return -1
  end
  heard[shard] = stored
  at = at + 2
end
if next(begun) then
  -- A pair whose withdrawal was lost would stay for ever.
  local fields = redis.call('HGETALL', last)
  for i = 1, #fields, 2 do
    local shard = string.match(fields[i + 1], '^{"v":1,"id":"(%d+)%.')
    if shard and begun[shard] then
      redis.call('HDEL', last, fields[i])
    end
  end
end
-- Last values are put down many at a time; as many as `unpack` surely takes.
local KEPT_MAX = 512
local kept, named = {}, {}
local function keep()
  -- Only what is new has to be noted with its pair.
  if #kept > 0 and redis.call('HSET', last, unpack(kept)) > 0 then
    for subject, pair in pairs(named) do
      local names = redis.call('HGET', sources, pair) or ''
      if not string.find(names .. ' ', ' ' .. subject .. ' ', 1, true) then
        redis.call('HSET', sources, pair, names .. ' ' .. subject)
      end
    end
  end
  kept, named = {}, {}
end
local taken = 0
local is_new = redis.call('EXISTS', flow) == 0
for i = at, #ARGV, 6 do
  local shard, mark = ARGV[i], ARGV[i + 1]
  if mark > heard[shard] then
    local subject, text, pair, what = ARGV[i + 2], ARGV[i + 3], ARGV[i + 4], ARGV[i + 5]
    heard[shard] = mark
    taken = taken + 1
    local entry = redis.call('XADD', flow, '*', 's', subject, 'd', text)
    if is_new then
      is_new = false
      redis.call('HSET', order, 'flow', entry)
    end
    if what == 'w' then
      keep()
      redis.call('HDEL', last, subject)
      local names = redis.call('HGET', sources, pair)
      if names then
        for name in string.gmatch(names, '%S+') do
          redis.call('HDEL', last, name)
        end
        redis.call('HDEL', sources, pair)
      end
    else
      kept[#kept + 1] = subject
      kept[#kept + 1] = text
      if what == 's' then
        named[subject] = pair
      end
      if #kept == KEPT_MAX then
        keep()
      end
    end
  end
end
keep()
if taken > 0 then
  for shard, mark in pairs(heard) do
    redis.call('HSET', order, shard, mark)
  end
  local now = redis.call('TIME')
  local oldest = now[1] * 1000 - tonumber(ARGV[2])
  redis.call('XTRIM', flow, 'MAXLEN', '~', ARGV[1])
  redis.call('XTRIM', flow, 'MINID', '~', string.format('%.0f', oldest))
end
return taken
