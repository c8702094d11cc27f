-- Counts one more, if that is not too many. KEYS: the counter. ARGV: the most, what is known to be used where nothing is
-- counted yet, what is owed from before, and the milliseconds until it ends.
--
-- Answers the number of values thrown away, whether there was one left, and how many were used.
local most, at_least, owed, ttl = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local foreign = 0
local stored = redis.pcall('GET', KEYS[1])
local used = at_least
if stored then
    local count = type(stored) == 'string' and tonumber(stored) or nil
    if count and count >= 0 and count == math.floor(count) and count < 2 ^ 53 then
        used = count + owed
    else
        redis.call('DEL', KEYS[1])
        foreign = 1
    end
end
local admitted = 0
if used < most then
    used = used + 1
    admitted = 1
end
redis.call('SET', KEYS[1], string.format('%.0f', used), 'PX', ttl)
return {foreign, admitted, used}
