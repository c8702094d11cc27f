-- Takes one from every bucket, or from none. KEYS: the buckets. ARGV: for each the interval and the tolerance, in
-- microseconds. A bucket is its theoretical arrival time, in microseconds since 2024, so that a fraction of one still
-- fits into a number.
--
-- Time is this server's: nodes whose clocks differ count by one. What somebody else wrote under a key is thrown away;
-- a time further ahead than a bucket can get (the clock was set back) is brought back.
--
-- Answers the number of values thrown away, and for each bucket: whether it gave, what remains, the wait, the time until
-- it is full.
local clock = redis.call('TIME')
local now = (clock[1] - 1704067200) * 1000000 + clock[2]
local foreign, refused = 0, false
local answer, next_times = {0}, {}
for i, key in ipairs(KEYS) do
    local interval, tolerance = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
    local stored = redis.pcall('GET', key)
    local at = now
    if stored then
        at = type(stored) == 'string' and tonumber(stored) or nil
        if not at or at ~= at then
            redis.call('DEL', key)
            foreign = foreign + 1
            at = now
        end
    end
    if at > now + tolerance then
        at = now + tolerance
        redis.call('SET', key, string.format('%.17g', at), 'PX', math.ceil(tolerance / 1000) + 1)
    end
    at = math.max(at, now)
    local ahead = at + interval - now
    if ahead > tolerance then
        refused = true
        for _, number in ipairs({0, 0, math.ceil(ahead - tolerance), math.ceil(at - now)}) do
            answer[#answer + 1] = number
        end
    else
        next_times[i] = at + interval
        for _, number in ipairs({1, math.floor((tolerance - ahead) / interval), 0, math.ceil(ahead)}) do
            answer[#answer + 1] = number
        end
    end
end
if not refused then
    for i, key in ipairs(KEYS) do
        redis.call('SET', key, string.format('%.17g', next_times[i]), 'PX', math.ceil((next_times[i] - now) / 1000) + 1)
    end
end
answer[1] = foreign
return answer
