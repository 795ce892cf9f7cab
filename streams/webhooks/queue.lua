-- The deliveries of one share of the endpoints. Times of `due` are the engine's clock, which a test may move; leases are
-- real time (TIME), so that a clock that is moved or held neither ends them nor keeps them for ever.
--
-- <tag>:due        endpoint -> its earliest due time, of endpoints that have room for one attempt more
-- <tag>:full       the same of those that have none
-- <tag>:leases     endpoint -> when the first of its leases ends
-- <tag>:n          deliveries that wait or are under way
-- <tag>:q:<e>      what waits for the endpoint: message -> due
-- <tag>:t:<e>      what is under way: message -> end of its lease
-- <tag>:d:<e>      message -> delivery (JSON)
-- <tag>:l:<e>      the log: "<created_ms>-<message>", in order
-- <tag>:s:<e>      whether its last attempt failed, and when one succeeded last

local LOOKED_AT = 100   -- endpoints looked at in one call
local TRIMMED = 16      -- log lines looked at in one call

local function text(number) return string.format('%.0f', number) end

local function refresh(tag, endpoint, width)  -- the endpoint's place in the indexes; answers its room
  local first = redis.call('ZRANGE', tag .. ':q:' .. endpoint, 0, 0, 'WITHSCORES')[2]
  local lease = redis.call('ZRANGE', tag .. ':t:' .. endpoint, 0, 0, 'WITHSCORES')[2]
  local failing = redis.call('HGET', tag .. ':s:' .. endpoint, 'failing') == '1'
  local room = (failing and 1 or tonumber(width)) - redis.call('ZCARD', tag .. ':t:' .. endpoint)
  local into, from = tag .. ':due', tag .. ':full'
  if room <= 0 then into, from = from, into end
  if first then redis.call('ZADD', into, first, endpoint) else redis.call('ZREM', into, endpoint) end
  redis.call('ZREM', from, endpoint)
  if lease then redis.call('ZADD', tag .. ':leases', lease, endpoint)
  else redis.call('ZREM', tag .. ':leases', endpoint) end
  return room
end

local function waits(tag, endpoint, message)
  return redis.call('ZSCORE', tag .. ':q:' .. endpoint, message) or redis.call('ZSCORE', tag .. ':t:' .. endpoint, message)
end

local function trim(tag, endpoint, log_max)  -- forgets the oldest that are over and done with
  local log = tag .. ':l:' .. endpoint
  local over = redis.call('ZCARD', log) - tonumber(log_max)
  if over <= 0 then return end
  for _, line in ipairs(redis.call('ZRANGE', log, 0, TRIMMED - 1)) do
    local message = string.sub(line, 15)
    if over > 0 and not waits(tag, endpoint, message) then
      redis.call('HDEL', tag .. ':d:' .. endpoint, message)
      redis.call('ZREM', log, line)
      over = over - 1
    end
  end
end

-- Deliveries that are known stay as they are (0); 1 is a new one, -1 one that finds too much before it.
local function enqueue(keys, args)
  local tag, width, log_max, backlog_max = keys[1], args[1], args[2], tonumber(args[3])
  local replies, touched = {}, {}
  for i = 4, #args, 5 do
    local endpoint, message, delivery, line, due = args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4]
    local queue, documents = tag .. ':q:' .. endpoint, tag .. ':d:' .. endpoint
    if redis.call('HEXISTS', documents, message) == 1 then replies[#replies + 1] = 0
    elseif due ~= '' and redis.call('ZCARD', queue) >= backlog_max then replies[#replies + 1] = -1
    else
      redis.call('HSET', documents, message, delivery)
      redis.call('ZADD', tag .. ':l:' .. endpoint, 0, line)
      if due ~= '' then
        redis.call('ZADD', queue, due, message)
        redis.call('INCR', tag .. ':n')
      end
      touched[endpoint] = true
      replies[#replies + 1] = 1
    end
  end
  for endpoint in pairs(touched) do
    refresh(tag, endpoint, width)
    trim(tag, endpoint, log_max)
  end
  return replies
end

local function end_leases(tag, width, now_ms, real_ms)
  for _, endpoint in ipairs(redis.call('ZRANGEBYSCORE', tag .. ':leases', '-inf', text(real_ms), 'LIMIT', 0, LOOKED_AT)) do
    local taken = tag .. ':t:' .. endpoint
    for _, message in ipairs(redis.call('ZRANGEBYSCORE', taken, '-inf', text(real_ms))) do
      redis.call('ZREM', taken, message)
      redis.call('ZADD', tag .. ':q:' .. endpoint, now_ms, message)
    end
    refresh(tag, endpoint, width)
  end
end

-- Up to `count` deliveries that are due, no more of one endpoint than it has room for, each under a lease.
local function claim(keys, args)
  local tag, width, now_ms, count, lease_ms = keys[1], args[1], args[2], tonumber(args[3]), tonumber(args[4])
  local clock = redis.call('TIME')
  local real_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
  end_leases(tag, width, now_ms, real_ms)
  local claimed = {}
  for _, endpoint in ipairs(redis.call('ZRANGEBYSCORE', tag .. ':due', '-inf', now_ms, 'LIMIT', 0, LOOKED_AT)) do
    local queue = tag .. ':q:' .. endpoint
    local most = math.min(refresh(tag, endpoint, width), count - #claimed / 3)
    local messages = most > 0 and redis.call('ZRANGEBYSCORE', queue, '-inf', now_ms, 'LIMIT', 0, text(most)) or {}
    for _, message in ipairs(messages) do
      redis.call('ZREM', queue, message)
      redis.call('ZADD', tag .. ':t:' .. endpoint, text(real_ms + lease_ms), message)
      claimed[#claimed + 1] = endpoint
      claimed[#claimed + 1] = message
      claimed[#claimed + 1] = redis.call('HGET', tag .. ':d:' .. endpoint, message) or ''
    end
    refresh(tag, endpoint, width)
  end
  return claimed
end

-- What came of an attempt, or of a replay: written if the delivery is still what was read.
local function settle(keys, args)
  local tag, width, log_max, endpoint, message, before, after, due, outcome, now_ms = keys[1], unpack(args)
  local documents = tag .. ':d:' .. endpoint
  if redis.call('HGET', documents, message) ~= before then return 0 end
  local waited = redis.call('ZREM', tag .. ':q:' .. endpoint, message) + redis.call('ZREM', tag .. ':t:' .. endpoint, message)
  redis.call('HSET', documents, message, after)
  if due ~= '' then redis.call('ZADD', tag .. ':q:' .. endpoint, due, message) end
  if due ~= '' and waited == 0 then redis.call('INCR', tag .. ':n') end
  if due == '' and waited > 0 then redis.call('DECR', tag .. ':n') end
  if outcome == 'good' then redis.call('HSET', tag .. ':s:' .. endpoint, 'failing', '0', 'good_ms', now_ms)
  elseif outcome == 'bad' then redis.call('HSET', tag .. ':s:' .. endpoint, 'failing', '1') end
  if due == '' then trim(tag, endpoint, log_max) end
  refresh(tag, endpoint, width)
  return 1
end

local function drop(keys, args)  -- all of an endpoint that is no more
  local tag, endpoint = keys[1], args[1]
  local gone = redis.call('ZCARD', tag .. ':q:' .. endpoint) + redis.call('ZCARD', tag .. ':t:' .. endpoint)
  redis.call('DECRBY', tag .. ':n', gone)
  for _, index in ipairs({':due', ':full', ':leases'}) do redis.call('ZREM', tag .. index, endpoint) end
  for _, sort in ipairs({':q:', ':t:', ':d:', ':l:', ':s:'}) do redis.call('UNLINK', tag .. sort .. endpoint) end
  return gone
end

redis.register_function('NAME_enqueue', enqueue)
redis.register_function('NAME_claim', claim)
redis.register_function('NAME_settle', settle)
redis.register_function('NAME_drop', drop)
