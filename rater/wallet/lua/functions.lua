-- charge   decides usage: id known? -> the remembered verdict; else assumptions, holds, money, verdict
-- apply    decides everything else that changes a wallet, in the same order
-- fan_out  brings the members of a held (or released) wallet after it, a page at a time
-- lookup   answers remembered verdicts, changes nothing
-- rotate   begins and drops generations of remembered verdicts
-- replace  writes a directory entry if it is still the one that was read

-- A batch comes as columns: a few long arrays are read much faster than many short ones.
local function read_batch(call, packed)
  local b = {call = call, members = {}, first_item = 1, first_member = 1}
  b.now_ms, b.epoch, b.dropped_before_ms, b.wallet_keys, b.currencies, b.counts, b.member_counts, b.units, b.nanos,
    b.plain, b.member_keys, b.members_before, b.members_after, b.ids, b.told, b.member_of, b.after, b.flags, b.causes,
    b.sessions, b.pools = unpack(packed)
  b.forgot_more = call.dropped_before_ms > b.dropped_before_ms
  return b
end

-- By wallet; one without a pool has 0 there. Read with its name: it may have left since the caller heard of it.
local function load_pools(b)
  local keys, owners = {}, {}
  b.pool_states, b.pool_keys = {}, {}
  for w, pool in ipairs(b.pools) do
    if pool ~= 0 then
      local tenant, name = names_of(b.wallet_keys[w], b.call.tag, 'w')
      owners[#owners + 1] = {w, tenant, name}
      keys[#keys + 1] = pool[1]
      keys[#keys + 1] = pool_key(b.call.tag, tenant, name)
    end
  end
  local found = fetch('MGET', nil, keys)
  for i, owner in ipairs(owners) do
    local w, tenant, name = unpack(owner)
    local subscriber = found[2 * i]
    b.pool_states[w] = found[2 * i - 1]
    b.pool_keys[w] = subscriber and member_key(b.call.tag, tenant, name, subscriber)
  end
end

local function load_batch(b)
  local call, fields = b.call, {}
  b.wallet_states, b.member_states = fetch('MGET', nil, b.wallet_keys), fetch('MGET', nil, b.member_keys)
  load_pools(b)
  b.known = call:remembered_usage(b.ids)
  for _, sessions in ipairs(b.sessions) do
    for _, s in ipairs(sessions ~= 0 and sessions or NONE) do fields[#fields + 1] = s[1] end
  end
  call:load_sessions(fields)
end

local function charge(keys, args)
  local packed = cmsgpack.unpack(args[1])
  local call, replies = open_call(keys[1], packed[1]), {0}
  local b = read_batch(call, packed)
  if b.epoch ~= 0 and b.epoch ~= call.epoch then return {0, {stale('epoch')}} end
  load_batch(b)
  for w = 1, #b.wallet_keys do
    local last_item, last_member = b.first_item + b.counts[w] - 1, b.first_member + b.member_counts[w] - 1
    replies[w + 1] = not b.forgot_more and charge_at_once(b, w, last_item, last_member)
      or charge_in_turn(b, w, last_item, last_member)
    b.first_item, b.first_member = last_item + 1, last_member + 1
  end
  replies[1] = call:save()
  return replies
end

local function answer_command(call, item)
  local wallet, v = item.wallet, nil
  if not wallet.currency then
    if item.kind ~= CREATE then return stale('no_wallet') end
    v = create(call, item)
  elseif item.currency ~= '' and item.currency ~= wallet.currency then return stale('currency')
  elseif item.kind == PLAN then v = step_subscription(call, item)
  else v = decide_command(call, item) end
  if not v then return stale('assignment') end
  if type(v) == 'string' then return v end
  if v.n and v.n > 0 then journal(call, item, v) end
  if v.fate == RATED then
    for _, entry in ipairs(v.news or item.news) do call.outbox[#call.outbox + 1] = entry end
  end
  local packed = verdict_of(call, v, item.told)
  call.kept[#call.kept + 1] = item.identity
  call.kept[#call.kept + 1] = packed
  return 'N' .. packed, packed
end

local function apply(keys, args)
  local now_ms, epoch, wallets, members, items = unpack(cmsgpack.unpack(args[1]))
  local call, replies, ids, known = open_call(keys[1], now_ms), {}, {}, {}
  if epoch ~= 0 and epoch ~= call.epoch then return {stale('epoch')} end
  wallets = call:load_wallets(wallets)
  for _, m in ipairs(members) do m[1] = wallets[m[1]] end
  members = call:load_members(members)
  for i, fields in ipairs(items) do
    local item, wallet, member = {}, nil, nil
    item.kind, wallet, member, item.version, item.identity, item.told, item.cause, item.currency, item.u, item.n,
      item.bits, item.hold, item.note, item.floor_u, item.floor_n, item.news, item.step =
      unpack(fields)
    item.wallet, item.member = wallets[wallet], members[member]
    assert(item.u >= 0 or item.kind == FLOOR or item.kind == PLAN, 'negative amount')
    assert(item.member or item.kind < JOIN or item.kind == NOTE or item.kind == THRESHOLD, 'no subscriber')
    items[i], ids[i] = item, item.identity
  end
  call:remembered(call.tag .. ':k', ids, known, true)
  for i, item in ipairs(items) do
    if known[item.identity] then replies[i] = 'K' .. known[item.identity]
    elseif item.wallet.behind then replies[i] = stale('behind')
    else
      replies[i], known[item.identity] = answer_command(call, item)
      item.wallet.behind = not known[item.identity]
    end
  end
  call:save()
  return replies
end

local function fan_out(keys, args)
  local call = open_call(keys[1], tonumber(args[2]))
  local head = redis.call('LINDEX', keys[1] .. ':f', 0)
  if not head then return {} end
  local tenant, name, cursor, reason, cause = unpack(cmsgpack.unpack(head))
  local wallet = call:load_wallets({{tenant, name}})[1]
  cursor = wallet.currency and page(call, wallet, cursor, tonumber(args[1]), reason, cause)
  local told = call:save()
  if told == 0 then told = {0, ''} end
  if cursor then redis.call('LSET', keys[1] .. ':f', 0, cmsgpack.pack({tenant, name, cursor, reason, cause}))
  else redis.call('LPOP', keys[1] .. ':f') end
  told[1] = redis.call('LLEN', keys[1] .. ':f')
  return told
end

local function lookup(keys, args)
  local call = open_call(keys[1], 0)
  local known, replies = call:remembered_usage(args), {string.format('%.0f', call.dropped_before_ms)}
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

redis.register_function('NAME_charge', charge)
redis.register_function('NAME_apply', apply)
redis.register_function('NAME_fan_out', fan_out)
redis.register_function{function_name = 'NAME_lookup', callback = lookup, flags = {'no-writes'}}
redis.register_function('NAME_rotate', rotate)
redis.register_function('NAME_replace', replace)
