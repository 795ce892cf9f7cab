-- apply    decides a batch: id known? -> the remembered verdict; else assumptions, holds, money, verdict
-- fan_out  brings the members of a held (or released) wallet after it, a page at a time
-- lookup   answers remembered verdicts, changes nothing
-- rotate   begins and drops generations of remembered verdicts
-- replace  writes a directory entry if it is still the one that was read

local function verdict(call, item, v)
  return struct.pack('<BBI2I6I6i5I4i5I4I4', v.fate, v.reason, call.epoch, v.n or 0, call.now_ms,
    v.cu or 0, v.cn or 0, v.bu or 0, v.bn or 0, item.version)
    .. item.fingerprint .. item.token .. item.catalogue .. cmsgpack.pack({item.wallet, v.counters or {}})
end

local function stale(why, version, counters) return 'S' .. cmsgpack.pack({why, version or 0, counters or {}}) end

local function answer_usage(call, item, wallet)
  if call.forgot_more then return stale('memory', 0, {call.dropped_before_ms}) end
  local member = call:member(item.tenant, item.wallet, item.subscriber)
  if not wallet then return stale('no_wallet') end
  if not member or member.assigned ~= item.version then return stale('assignment', member and member.assigned) end
  if item.currency ~= wallet.currency then return stale('currency') end
  local v, present = decide_usage(call, item, wallet, member)
  if not v then return stale('counters', member.assigned, present) end
  local packed = verdict(call, item, v)
  call.verdicts[#call.verdicts + 1] = item.identity
  call.verdicts[#call.verdicts + 1] = packed
  return 'N' .. packed, packed
end

local function answer_command(call, item, wallet)
  local v
  if item.kind == CREATE and not wallet then v, wallet = create(call, item)
  elseif not wallet then return stale('no_wallet')
  elseif item.currency ~= '' and item.currency ~= wallet.currency then return stale('currency')
  else v = decide_command(call, item, wallet) end
  if not v then return stale('assignment') end
  if v.n and v.n > 0 then journal(call, item, wallet, v) end
  local packed = verdict(call, item, v)
  call.kept[#call.kept + 1] = item.identity
  call.kept[#call.kept + 1] = packed
  return 'N' .. packed, packed
end

local function unpack_request(packed)
  local r = cmsgpack.unpack(packed)
  local request = {now_ms = r[1], epoch = r[2], dropped_before_ms = r[3], oldest_period = r[4], wallets = r[5],
    members = r[6], items = {}}
  for i, s in ipairs(r[7]) do
    local w, m = r[5][s[2]], r[6][s[3]]
    assert(s[10] >= 0 or s[1] == FLOOR, 'negative amount')
    request.items[i] = {kind = s[1], tenant = w[1], wallet = w[2], subscriber = m and m[2] or '', version = s[4],
      identity = s[5], fingerprint = s[6], token = s[7], cause = s[8], currency = s[9], u = s[10], n = s[11],
      uses = s[12], refuse = s[13], free = s[14], catalogue = s[15], bits = s[16] or 0, hold = s[17] or '',
      note = s[18] or '', floor_u = s[19] or 0, floor_n = s[20] or 0}
  end
  return request
end

local function open_request(tag, request)
  local call = open_call(tag, request.now_ms)
  call.oldest_period = request.oldest_period
  -- The caller looked elsewhere for ids from before a time; if more is forgotten here by now, it must look again.
  call.forgot_more = call.dropped_before_ms > request.dropped_before_ms
  return call
end

local function apply(keys, args)
  local request = unpack_request(args[1])
  local call = open_request(keys[1], request)
  local replies, usage_ids, other_ids = {}, {}, {}
  for _, item in ipairs(request.items) do
    local ids = item.kind == USAGE and usage_ids or other_ids
    ids[#ids + 1] = item.identity
  end
  if request.epoch ~= 0 and request.epoch ~= call.epoch then
    for i in ipairs(request.items) do replies[i] = stale('epoch') end
    return replies
  end
  local known = call:remembered(usage_ids, other_ids)
  call:load(request)
  call:load_sessions(request.items)
  local behind = {}
  for i, item in ipairs(request.items) do
    local wallet = call:wallet(item.tenant, item.wallet)
    local key = item.tenant .. '/' .. item.wallet
    if known[item.identity] then replies[i] = 'K' .. known[item.identity]
    elseif behind[key] then replies[i] = stale('behind')
    else
      local answer = item.kind == USAGE and answer_usage or answer_command
      replies[i], known[item.identity] = answer(call, item, wallet)
      behind[key] = not known[item.identity]
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
  local wallet = call:wallet(tenant, name)
  cursor = wallet and page(call, wallet, cursor, tonumber(args[1]), reason, cause)
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
