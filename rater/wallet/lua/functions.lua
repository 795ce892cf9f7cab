-- apply    decides a batch: id known? -> the remembered verdict; else assumptions, holds, money, verdict
-- fan_out  brings the members of a held (or released) wallet after it, a page at a time
-- lookup   answers remembered verdicts, changes nothing
-- rotate   begins and drops generations of remembered verdicts
-- replace  writes a directory entry if it is still the one that was read

local function verdict(call, item, v)
  local wallet = item.wallet
  wallet.tail = wallet.tail or struct.pack('B', #wallet.name) .. wallet.name
  local packed = struct.pack('<BBI2I6I6i5I4i5I4I4', v.fate, v.reason, call.epoch, v.n or 0, call.now_ms,
    v.cu or 0, v.cn or 0, v.bu, v.bn, item.version) .. item.marks .. wallet.tail
  for _, value in ipairs(v.counters or NONE) do packed = packed .. struct.pack('<i8', value) end
  return packed
end

local function stale(why, version, counters) return 'S' .. cmsgpack.pack({why, version or 0, counters or {}}) end

local function answer_usage(call, item)
  local wallet, member = item.wallet, item.member
  if call.forgot_more then return stale('memory', 0, {call.dropped_before_ms}) end
  -- These two wait for a repair, not for their turn: nothing is behind them.
  if not wallet.currency then return stale('no_wallet'), nil, true end
  if member.assigned ~= item.version then return stale('assignment', member.assigned) end
  if item.currency ~= wallet.currency then return stale('currency'), nil, true end
  local v, present = decide_usage(call, item)
  if not v then return stale('counters', member.assigned, present) end
  local packed = verdict(call, item, v)
  call.verdicts[#call.verdicts + 1] = item.identity
  call.verdicts[#call.verdicts + 1] = packed
  return 'N' .. packed, packed
end

local function answer_command(call, item)
  local wallet, v = item.wallet, nil
  if not wallet.currency then
    if item.kind ~= CREATE then return stale('no_wallet') end
    v = create(call, item)
  elseif item.currency ~= '' and item.currency ~= wallet.currency then return stale('currency')
  else v = decide_command(call, item) end
  if not v then return stale('assignment') end
  if v.n and v.n > 0 then journal(call, item, v) end
  local packed = verdict(call, item, v)
  call.kept[#call.kept + 1] = item.identity
  call.kept[#call.kept + 1] = packed
  return 'N' .. packed, packed
end

local function given(value) return value ~= 0 and value end

-- A batch comes as columns: a few long arrays are read much faster than many short ones.
local function unpack_items(columns, wallets, members)
  local kind, wallet, member, version, identity, marks, cause, currency, u, n, uses, refuse, free, more =
    unpack(columns)
  local items = {}
  for i = 1, #kind do
    local w, m = wallets[wallet[i]], members[member[i]]
    assert(u[i] >= 0 or kind[i] == FLOOR, 'negative amount')
    assert(m or not (kind[i] == USAGE or kind[i] >= JOIN), 'no subscriber')
    local item = {kind = kind[i], wallet = w, member = m, version = version[i], identity = identity[i],
      marks = marks[i], cause = cause[i], currency = currency[i], u = u[i], n = n[i], uses = given(uses[i]),
      refuse = given(refuse[i]), free = free[i]}
    if kind[i] ~= USAGE then item.bits, item.hold, item.note, item.floor_u, item.floor_n = unpack(more[i]) end
    items[i] = item
  end
  return items
end

local function load_sessions(call, items)
  local fields = {}
  for _, item in ipairs(items) do
    for j = 1, #(item.uses or NONE), 2 do
      if is_session(item.uses[j]) then fields[#fields + 1] = session_field(item, item.uses[j]) end
    end
  end
  call:load_sessions(fields)
end

local function apply(keys, args)
  local now_ms, epoch, dropped_before_ms, oldest_period, wallets, members, columns = unpack(cmsgpack.unpack(args[1]))
  local call, replies = open_call(keys[1], now_ms), {}
  if epoch ~= 0 and epoch ~= call.epoch then
    for i = 1, #columns[1] do replies[i] = stale('epoch') end
    return replies
  end
  call.oldest_period = oldest_period
  -- The caller looked elsewhere for ids from before a time; if more is forgotten here by now, it must look again.
  call.forgot_more = call.dropped_before_ms > dropped_before_ms
  wallets = call:load_wallets(wallets)
  for _, m in ipairs(members) do m[1] = wallets[m[1]] end
  local items = unpack_items(columns, wallets, call:load_members(members))
  load_sessions(call, items)
  local usage_ids, other_ids = {}, {}
  for _, item in ipairs(items) do
    local ids = item.kind == USAGE and usage_ids or other_ids
    ids[#ids + 1] = item.identity
  end
  local known = call:remembered(usage_ids, other_ids)
  for i, item in ipairs(items) do
    local wallet = item.wallet
    if known[item.identity] then replies[i] = 'K' .. known[item.identity]
    elseif wallet.behind then
      -- With its counters, so that the caller puts all SIMs of the wallet right at once and not one a call.
      replies[i] = stale('behind', 0, item.uses and counters_before(call, item))
    else
      local answer, parked = item.kind == USAGE and answer_usage or answer_command, nil
      replies[i], known[item.identity], parked = answer(call, item)
      wallet.behind = not known[item.identity] and not parked
    end
  end
  call:save()
  return replies
end

local function fan_out(keys, args)
  local call = open_call(keys[1], tonumber(args[2]))
  local head = redis.call('LINDEX', keys[1] .. ':f', 0)
  if not head then return 0 end
  local tenant, name, cursor, reason, cause = unpack(cmsgpack.unpack(head))
  local wallet = call:load_wallets({{tenant, name}})[1]
  cursor = wallet.currency and page(call, wallet, cursor, tonumber(args[1]), reason, cause)
  call:save()
  if cursor then redis.call('LSET', keys[1] .. ':f', 0, cmsgpack.pack({tenant, name, cursor, reason, cause}))
  else redis.call('LPOP', keys[1] .. ':f') end
  return 1
end

local function lookup(keys, args)
  local call = open_call(keys[1], 0)
  local known, replies = call:remembered(args, args), {string.format('%.0f', call.dropped_before_ms)}
  for i, identity in ipairs(args) do replies[i + 1] = known[identity] or '' end
  return replies
end

-- A generation ends when it is `window_ms` old. All but two are dropped, the oldest first, once the caller says that
-- everything decided before `safe_ms` is acknowledged by every door and can be read in ClickHouse.
local function rotate(keys, args)
  local tag, now_ms, window_ms, safe_ms = keys[1], tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  local key = tag .. ':meta'
  local meta = redis.call('HMGET', key, 'generation', 'oldest', 'started_ms')
  local generation, oldest = tonumber(meta[1] or 0), tonumber(meta[2] or 0)
  local started_ms = tonumber(meta[3] or now_ms)
  if not meta[3] then redis.call('HSET', key, 'started_ms', args[1]) end
  if now_ms - started_ms >= window_ms then
    generation = generation + 1
    redis.call('HSET', key, 'generation', string.format('%.0f', generation), 'started_ms', args[1],
      'end_ms:' .. (generation - 1), args[1])
  end
  while generation - oldest > 1 do
    local end_ms = tonumber(redis.call('HGET', key, 'end_ms:' .. oldest) or now_ms)
    if end_ms > safe_ms then break end
    -- First forgotten on paper, then in fact: a call after a crash in between looks elsewhere once too often.
    redis.call('HSET', key, 'oldest', string.format('%.0f', oldest + 1), 'dropped_before_ms',
      string.format('%.0f', end_ms))
    redis.call('HDEL', key, 'end_ms:' .. oldest)
    redis.call('UNLINK', tag .. ':v:' .. oldest, tag .. ':x:' .. oldest)
    oldest = oldest + 1
  end
  return redis.call('HGET', key, 'dropped_before_ms') or '0'
end

local function replace(keys, args)
  if (redis.call('GET', keys[1]) or '') ~= args[1] then return 0 end
  redis.call('SET', keys[1], args[2])
  return 1
end

redis.register_function('NAME_apply', apply)
redis.register_function('NAME_fan_out', fan_out)
redis.register_function{function_name = 'NAME_lookup', callback = lookup, flags = {'no-writes'}}
redis.register_function('NAME_rotate', rotate)
redis.register_function('NAME_replace', replace)
