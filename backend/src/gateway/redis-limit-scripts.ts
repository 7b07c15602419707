/**
 * What all limits have in common in Redis. Each subject is a hash (levels of its two buckets, tokens of its day and month) and,
 * beside it, a sorted set of the requests that run, by when their lease ends. Redis' clock alone counts: gateways whose clocks
 * differ would refill a bucket twice.
 */
const shared = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local today = math.floor(now / 86400000)

-- The month of a day since 1970, counted from year 0 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
local function month_of(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return year * 12 + month
end
local month = month_of(today)

local function read(key)
  local got = redis.call('HMGET', key, 'requests', 'requests_at', 'tokens', 'tokens_at', 'day', 'day_used', 'month', 'month_used')
  for at = 1, 8 do got[at] = tonumber(got[at] or nil) end
  return {
    requests = got[1], requests_at = got[2], tokens = got[3], tokens_at = got[4],
    day_used = got[5] == today and got[6] or 0,
    month_used = got[7] == month and got[8] or 0,
  }
end

-- What adding up parts of a minute may lack of a whole.
local rounding = 1e-6

local function refilled(level, at, per_minute)
  if not level then return per_minute end
  return math.min(per_minute, level + math.max(0, now - at) / 60000 * per_minute)
end

-- Nothing of a subject is needed when its month is over.
local function keep(key) redis.call('EXPIRE', key, 33 * 86400) end
`;

/**
 * KEYS: hash and sorted set of each subject. ARGV: request, tokens, lease in ms; then of each subject concurrent requests,
 * requests a minute, tokens a minute, a day, a month, -1 for none.
 * Answers texts: '1' and the two levels of each subject, or '0', the subject's number, the limit's name, what lacks; Redis' clock last.
 */
export const takeScript = `${shared}
local request, tokens, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local subjects = {}
for at = 1, #KEYS / 2 do
  local hash, running = KEYS[at * 2 - 1], KEYS[at * 2]
  local function limit(which) local value = tonumber(ARGV[3 + (at - 1) * 5 + which]); return value >= 0 and value or nil end
  local concurrent, rpm, tpm, tpd, tpmo = limit(1), limit(2), limit(3), limit(4), limit(5)
  local has = read(hash)
  local function refuse(name, lacks) return { '0', tostring(at), name, tostring(lacks), tostring(now) } end
  if concurrent then
    redis.call('ZREMRANGEBYSCORE', running, '-inf', now)
    if redis.call('ZCARD', running) >= concurrent then return refuse('concurrent_requests', 0) end
  end
  if rpm then
    has.requests = refilled(has.requests, has.requests_at, rpm)
    if has.requests < 1 - rounding then return refuse('requests_per_minute', 1 - has.requests) end
  end
  if tpm then
    has.tokens = refilled(has.tokens, has.tokens_at, tpm)
    local lacks = math.min(tokens, tpm) - has.tokens
    if lacks > rounding then return refuse('tokens_per_minute', lacks) end
  end
  if tpd and has.day_used >= tpd then return refuse('tokens_per_day', 0) end
  if tpmo and has.month_used >= tpmo then return refuse('tokens_per_month', 0) end
  subjects[at] = { hash = hash, running = running, has = has, concurrent = concurrent, rpm = rpm, tpm = tpm }
end
local answer = { '1' }
for at, subject in ipairs(subjects) do
  local has = subject.has
  redis.call('HSET', subject.hash, 'day', today, 'day_used', has.day_used + tokens, 'month', month, 'month_used', has.month_used + tokens)
  if subject.rpm then redis.call('HSET', subject.hash, 'requests', tostring(has.requests - 1), 'requests_at', now) end
  if subject.tpm then redis.call('HSET', subject.hash, 'tokens', tostring(has.tokens - tokens), 'tokens_at', now) end
  keep(subject.hash)
  if subject.concurrent then
    redis.call('ZADD', subject.running, now + lease, request)
    redis.call('PEXPIRE', subject.running, lease)
  end
  answer[at * 2] = subject.rpm and tostring(has.requests - 1) or ''
  answer[at * 2 + 1] = subject.tpm and tostring(has.tokens - tokens) or ''
end
answer[#answer + 1] = tostring(now)
return answer
`;

/**
 * KEYS as above. ARGV: request, tokens that it used beyond those that were taken, when they were taken by Redis' clock, and how
 * many requests are given back.
 */
export const settleScript = `${shared}
local request, more, taken_at, returned = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local taken_day = math.floor(taken_at / 86400000)
for at = 1, #KEYS / 2 do
  local hash, running = KEYS[at * 2 - 1], KEYS[at * 2]
  redis.call('ZREM', running, request)
  if returned ~= 0 then
    local level = tonumber(redis.call('HGET', hash, 'requests') or nil)
    if level then redis.call('HSET', hash, 'requests', tostring(level + returned)) end
  end
  if more ~= 0 and redis.call('EXISTS', hash) == 1 then
    local got = redis.call('HMGET', hash, 'tokens', 'day', 'month')
    if got[1] then redis.call('HSET', hash, 'tokens', tostring(tonumber(got[1]) - more)) end
    if tonumber(got[2] or nil) == taken_day then redis.call('HINCRBY', hash, 'day_used', more) end
    if tonumber(got[3] or nil) == month_of(taken_day) then redis.call('HINCRBY', hash, 'month_used', more) end
  end
end
return ''
`;

/** KEYS: the hash. ARGV: tokens of the day and of the month. Where more were counted, that stands. */
export const seedScript = `${shared}
local has = read(KEYS[1])
redis.call('HSET', KEYS[1], 'day', today, 'day_used', math.max(has.day_used, tonumber(ARGV[1])),
  'month', month, 'month_used', math.max(has.month_used, tonumber(ARGV[2])))
keep(KEYS[1])
return ''
`;

/** KEYS: sorted sets. ARGV: the request and the length of its lease in ms. A lease that has ended is not begun anew. */
export const renewScript = `${shared}
local request, lease = ARGV[1], tonumber(ARGV[2])
for _, running in ipairs(KEYS) do
  redis.call('ZADD', running, 'XX', now + lease, request)
  redis.call('PEXPIRE', running, lease)
end
return ''
`;
