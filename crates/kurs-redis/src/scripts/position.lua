-- Where the flow is at this moment.
-- KEYS: flow, order
-- Answers: what it began with ('' when there is none), its last id, entries ever added, entries.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {'', '0-0', 0, 0}
end
local info = redis.call('XINFO', 'STREAM', KEYS[1])
local of = {}
for i = 1, #info, 2 do
  of[info[i]] = info[i + 1]
end
local begin = redis.call('HGET', KEYS[2], 'flow') or '?'
return {begin, of['last-generated-id'], of['entries-added'] or of['length'], of['length']}
