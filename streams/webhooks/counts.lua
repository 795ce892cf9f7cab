-- Usage counted for rules. All of a tenant stands in one share, so that a record is marked as had and counted for every
-- rule in one call.
--
-- <tag>:r:b:<wallet>                  newest block of numbers seen, by epoch
-- <tag>:r:s:<wallet>:<epoch>:<block>  one bit for each number (first parts)
-- <tag>:r:p:<wallet>:<epoch>:<block>  "<n>.<part>" of further parts
-- <tag>:r:u:<rule>:<subject>:<period> sum, and whether it has triggered
-- <tag>:r:out                         what was triggered and is not published yet

local BLOCK = 65536    -- numbers of a wallet; records may come this much out of order, and are not counted twice

-- Two workers on one wallet publish in an order that is not its numbers', and a record may be published again long
-- after: so each number is a bit, in the newest block and the one before; what is older has been had.
local function is_new(tag, wallet, epoch, n, part, ttl_s)
  local block, newest = math.floor(n / BLOCK), tag .. ':r:b:' .. wallet
  local last = tonumber(redis.call('HGET', newest, text(epoch)))
  if last and block < last - 1 then return false end
  if not last or block > last then
    redis.call('HSET', newest, text(epoch), text(block))
    redis.call('EXPIRE', newest, ttl_s)
    for _, sort in ipairs({':r:s:', ':r:p:'}) do
      for old = (last or block) - 1, block - 2 do
        redis.call('UNLINK', tag .. sort .. wallet .. ':' .. text(epoch) .. ':' .. text(old))
      end
    end
  end
  local place = wallet .. ':' .. text(epoch) .. ':' .. text(block)
  local key, had
  if part == 0 then
    key = tag .. ':r:s:' .. place
    had = redis.call('SETBIT', key, text(n % BLOCK), 1)
  else
    key = tag .. ':r:p:' .. place
    had = 1 - redis.call('SADD', key, text(n) .. '.' .. text(part))
  end
  redis.call('EXPIRE', key, ttl_s)
  return had == 0
end

local function passes(state, ttl_s, is_sum, amount, threshold)  -- answers the value where a threshold is passed first
  local value = amount
  if is_sum then value = redis.call('HINCRBY', state, 'sum', text(amount)) end
  local passed = is_sum and value >= threshold or not is_sum and value <= threshold
  if not passed then
    if is_sum then redis.call('EXPIRE', state, ttl_s) end
    return nil
  end
  local first = redis.call('HSETNX', state, 'done', '1') == 1
  redis.call('EXPIRE', state, ttl_s)
  return first and value or nil
end

-- Records: wallet, epoch, n, part, and checks: key of the state, whether it is a sum, amount, threshold, what to tell.
local function count(keys, args)
  local tag, ttl_s, triggered = keys[1], args[1], 0
  for _, record in ipairs(cmsgpack.unpack(args[2])) do
    local wallet, epoch, n, part, checks = unpack(record)
    if is_new(tag, wallet, epoch, n, part, ttl_s) then
      for _, check in ipairs(checks) do
        local state, is_sum, amount, threshold, told = unpack(check)
        local value = passes(tag .. ':r:u:' .. state, ttl_s, is_sum, amount, threshold)
        if value then
          told[#told + 1] = text(value)
          redis.call('RPUSH', tag .. ':r:out', cmsgpack.pack(told))
          triggered = triggered + 1
        end
      end
    end
  end
  return triggered
end

redis.register_function('NAME_count', count)
