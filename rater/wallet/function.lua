-- The one place where a wallet changes. One call: one batch for one shard; every key carries the shard's hash tag.
--
-- apply   decides each entry: id known? -> the remembered verdict; else assumptions, holds, money, verdict.
-- fan_out brings a held (or released) wallet's members after it, a page at a time.
-- lookup  answers remembered verdicts and changes nothing.
--
-- Nothing is written before everything is decided: Redis does not roll back what a failing script wrote.
-- Lua numbers are doubles, exact to 2^53 only, so money is two exact parts: units (signed) and nanos (0..999999999).

local USAGE, CREATE, CREDIT, DEBIT, FORCE, HOLD, RELEASE, FLOOR, JOIN, LEAVE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
local RATED, REFUSED = 0, 1
local SUSPENDED, INSUFFICIENT, LIMIT = 1, 4, 5
local BALANCE, PARENT = 1, 32
local E9 = 1000000000
local CHUNK = 4000     -- arguments of one redis.call; Lua's unpack stops at about 8,000
local INLINE = 32      -- members that follow their wallet in the same call

-- Money ------------------------------------------------------------------------------------------------------------

local function add(u1, n1, u2, n2)
  local u, n = u1 + u2, n1 + n2
  if n >= E9 then return u + 1, n - E9 end
  return u, n
end

local function sub(u1, n1, u2, n2)
  local u, n = u1 - u2, n1 - n2
  if n < 0 then return u - 1, n + E9 end
  return u, n
end

local function less(u1, n1, u2, n2) return u1 < u2 or (u1 == u2 and n1 < n2) end

local function positive(u, n) return u > 0 or (u == 0 and n > 0) end

local function fits_int64(u, n)  -- -9223372036.854775808 .. 9223372036.854775807
  return not (less(9223372036, 854775807, u, n) or less(u, n, -9223372037, 145224192))
end

-- State of one call --------------------------------------------------------------------------------------------------

local function chunked(command, key, list)
  for first = 1, #list, CHUNK do
    redis.call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list)))
  end
end

local function fetch(command, key, fields)  -- HMGET / MGET of any number of fields
  local values = {}
  for first = 1, #fields, CHUNK do
    local last = math.min(first + CHUNK - 1, #fields)
    local page
    if key then page = redis.call(command, key, unpack(fields, first, last))
    else page = redis.call(command, unpack(fields, first, last)) end
    for i = 1, #page do values[first + i - 1] = page[i] end
  end
  return values
end

local Call = {}
Call.__index = Call

local function open_call(tag, now_ms)
  local call = setmetatable({tag = tag, now_ms = now_ms, wallets = {}, members = {}, sessions = {}, outbox = {},
    verdicts = {}, kept = {}, pending = {}, joined = {}}, Call)
  local meta = redis.call('HMGET', tag .. ':meta', 'epoch', 'generation', 'oldest')
  call.epoch = tonumber(meta[1] or 1)
  call.generation = tonumber(meta[2] or 0)
  call.oldest = tonumber(meta[3] or 0)
  return call
end

local function wallet_key(tag, tenant, name) return tag .. ':w:' .. tenant .. '/' .. name end
local function member_key(tag, tenant, name, subscriber)
  return tag .. ':b:' .. tenant .. '/' .. name .. '/' .. subscriber
end

-- Wallet: {currency, balance units, nanos, floor units, nanos, n, holds, status_version}
function Call:wallet(tenant, name, packed)
  local key = wallet_key(self.tag, tenant, name)
  local found = self.wallets[key]
  if found == nil then
    packed = packed or redis.call('GET', key)
    found = false
    if packed then
      local s = cmsgpack.unpack(packed)
      found = {tenant = tenant, name = name, currency = s[1], bu = s[2], bn = s[3], fu = s[4], fn = s[5], n = s[6],
        holds = s[7], version = s[8]}
    end
    self.wallets[key] = found
  end
  return found
end

-- Member: {assignment version, holds, status_version, active (1/0), {counter = value}}
function Call:member(tenant, name, subscriber, packed)
  local key = member_key(self.tag, tenant, name, subscriber)
  local found = self.members[key]
  if found == nil then
    packed = packed or redis.call('GET', key)
    found = false
    if packed then
      local s = cmsgpack.unpack(packed)
      found = {subscriber = subscriber, assigned = s[1], holds = s[2], version = s[3], active = s[4], counters = s[5]}
    end
    self.members[key] = found
  end
  return found
end

function Call:save()
  for key, w in pairs(self.wallets) do
    if w and w.dirty then
      redis.call('SET', key, cmsgpack.pack({w.currency, w.bu, w.bn, w.fu, w.fn, w.n, w.holds, w.version}))
    end
  end
  for key, m in pairs(self.members) do
    if m and m.dirty then
      redis.call('SET', key, cmsgpack.pack({m.assigned, m.holds, m.version, m.active, m.counters}))
    end
  end
  for _, change in ipairs(self.joined) do redis.call(unpack(change)) end
  local sessions = {}
  for field, s in pairs(self.sessions) do
    if s.dirty then sessions[#sessions + 1] = field; sessions[#sessions + 1] = string.format('%.0f', s.value) end
  end
  chunked('HSET', self.tag .. ':x:' .. self.generation, sessions)
  chunked('HSET', self.tag .. ':v:' .. self.generation, self.verdicts)
  chunked('HSET', self.tag .. ':k', self.kept)
  for _, entry in ipairs(self.outbox) do redis.call('XADD', self.tag .. ':o', '*', 'e', cmsgpack.pack(entry)) end
  chunked('RPUSH', self.tag .. ':f', self.pending)
end

-- News: every crossing and every change that is not usage goes through the outbox, in order ----------------------------

local function cross(call, wallet, member, before, reason, cause)
  local who = member or wallet
  if (before == 0) == (who.holds == 0) then return end
  who.version = who.version + 1
  call.outbox[#call.outbox + 1] = {'L', who.holds ~= 0 and 'suspended' or 'resumed', wallet.tenant, wallet.name,
    member and member.subscriber or '', reason, who.holds, who.version, wallet.bu, wallet.bn, wallet.currency,
    call.epoch, wallet.n, cause, call.now_ms}
end

local function follow(call, wallet, member, reason, cause)  -- a member takes over whether its wallet is held
  local before = member.holds
  local held = wallet.holds ~= 0 and PARENT or 0
  local after = before - bit.band(before, PARENT) + held
  if after == before then return end
  member.holds, member.dirty = after, true
  cross(call, wallet, member, before, reason, cause)
end

local function page(call, wallet, cursor, limit, reason, cause)  -- answers the cursor after it, nil at the end
  local from = cursor == '' and '-' or '(' .. cursor
  local key = call.tag .. ':m:' .. wallet.tenant .. '/' .. wallet.name
  local names = redis.call('ZRANGEBYLEX', key, from, '+', 'LIMIT', 0, limit)
  for _, name in ipairs(names) do
    local member = call:member(wallet.tenant, wallet.name, name)
    if member and member.active == 1 then follow(call, wallet, member, reason, cause) end
  end
  if #names == limit then return names[#names] end
end

local function set_wallet_holds(call, wallet, holds, reason, cause)
  local before = wallet.holds
  if holds == before then return end
  wallet.holds, wallet.dirty = holds, true
  if (before == 0) == (holds == 0) then return end
  cross(call, wallet, nil, before, reason, cause)
  local cursor = page(call, wallet, '', INLINE, reason, cause)
  if cursor then
    call.pending[#call.pending + 1] = cmsgpack.pack({wallet.tenant, wallet.name, cursor, reason, cause})
  end
end

local function check_floor(call, wallet, cause)  -- reaching the floor is the crossing, also when the floor moved
  local u, n = sub(wallet.bu, wallet.bn, wallet.fu, wallet.fn)
  local others = wallet.holds - bit.band(wallet.holds, BALANCE)
  set_wallet_holds(call, wallet, positive(u, n) and others or others + BALANCE, 'balance', cause)
end

local function has(set, bits) return bit.band(set, bits) ~= 0 end

-- Counters -------------------------------------------------------------------------------------------------------------

local function session_field(item, use) return item.tenant .. '/' .. item.subscriber .. '/' .. use[1] end

local function is_session(use) return string.sub(use[1], 1, 8) == 'session:' end

local function counters_before(call, item, member)
  local values = {}
  for i, use in ipairs(item.uses) do
    if is_session(use) then values[i] = call.sessions[session_field(item, use)].value
    else values[i] = member.counters[use[1]] or 0 end
  end
  return values
end

local function assumed(item, values)  -- use: {key, add, low, high, step, residue_low, residue_high}
  for i, use in ipairs(item.uses) do
    local v, step = values[i], use[5]
    if v < use[3] or v > use[4] then return false end
    if step > 0 and (v % step < use[6] or v % step > use[7]) then return false end
  end
  return true
end

local function advance(call, item, member, values)
  for i, use in ipairs(item.uses) do
    if is_session(use) then
      local s = call.sessions[session_field(item, use)]
      s.value, s.dirty = values[i] + use[2], true
    else
      member.counters[use[1]], member.dirty = values[i] + use[2], true
    end
  end
end

-- Deciding one entry ---------------------------------------------------------------------------------------------------

local function verdict(call, item, wallet, v)
  local packed = struct.pack('<BBI2I6I6i5I4i5I4I4', v.fate, v.reason, call.epoch, v.n or 0, call.now_ms,
    v.cu or 0, v.cn or 0, v.bu or 0, v.bn or 0, item.version or 0)
    .. item.fingerprint .. item.token .. item.catalogue
    .. cmsgpack.pack({item.wallet, v.counters or {}})
  return packed
end

local function stale(item, why, version, counters)
  return 'S' .. cmsgpack.pack({why, version or 0, counters or {}})
end

local function next_n(wallet)
  wallet.n, wallet.dirty = wallet.n + 1, true
  return wallet.n
end

local function decide_usage(call, item, wallet, member)
  local values = counters_before(call, item, member)
  local v = {fate = REFUSED, reason = SUSPENDED, bu = wallet.bu, bn = wallet.bn, counters = values}
  local own = member.holds - bit.band(member.holds, PARENT)
  if (own ~= 0 or wallet.holds ~= 0) and item.free == 0 then return v end
  if item.refuse ~= 0 then v.reason = item.refuse; return v end
  if not assumed(item, values) then return nil, values end
  local au, an = sub(wallet.bu, wallet.bn, wallet.fu, wallet.fn)
  if not positive(au, an) then au, an = 0, 0 end
  v.cu, v.cn = item.u, item.n
  if less(au, an, item.u, item.n) then v.cu, v.cn = au, an end
  v.fate, v.reason, v.n = RATED, 0, next_n(wallet)
  wallet.bu, wallet.bn = sub(wallet.bu, wallet.bn, v.cu, v.cn)
  advance(call, item, member, values)
  check_floor(call, wallet, item.cause)
  return v
end

local function move_money(call, item, wallet, sign)
  local v = {fate = RATED, reason = 0, bu = wallet.bu, bn = wallet.bn}
  local u, n
  if sign > 0 then u, n = add(wallet.bu, wallet.bn, item.u, item.n)
  else u, n = sub(wallet.bu, wallet.bn, item.u, item.n) end
  if not fits_int64(u, n) then v.fate, v.reason = REFUSED, LIMIT; return v end
  if item.kind == DEBIT and less(u, n, wallet.fu, wallet.fn) then
    v.fate, v.reason = REFUSED, INSUFFICIENT
    return v
  end
  wallet.bu, wallet.bn, v.n = u, n, next_n(wallet)
  if sign < 0 then v.cu, v.cn = item.u, item.n end
  check_floor(call, wallet, item.cause)
  return v
end

local function new_member(call, item)
  local member = {subscriber = item.subscriber, assigned = 0, holds = 0, version = 0, active = 0, counters = {}}
  call.members[member_key(call.tag, item.tenant, item.wallet, item.subscriber)] = member
  return member
end

local function join(call, item, wallet)
  local member = call:member(item.tenant, item.wallet, item.subscriber)
  if member and member.assigned >= item.version and member.active == 1 then return false end
  -- A newcomer brings its own holds along: the platform has heard of those. What is new is the wallet's.
  if not member then member = new_member(call, item) end
  if member.active == 0 then member.holds = item.bits end
  member.assigned, member.active, member.dirty = item.version, 1, true
  follow(call, wallet, member, 'parent', item.cause)
  call.joined[#call.joined + 1] = {'ZADD', call.tag .. ':m:' .. item.tenant .. '/' .. item.wallet, 0, item.subscriber}
  return true
end

local function leave(call, item, wallet)
  local member = call:member(item.tenant, item.wallet, item.subscriber)
  if not member then member = new_member(call, item) end
  if member.assigned >= item.version then return false end
  local before = member.holds
  member.assigned, member.active, member.dirty = item.version, 0, true
  member.holds = before - bit.band(before, PARENT)
  cross(call, wallet, member, before, 'parent', item.cause)
  call.joined[#call.joined + 1] = {'ZREM', call.tag .. ':m:' .. item.tenant .. '/' .. item.wallet, item.subscriber}
  return true
end

local function hold(call, item, wallet)
  local who, member = wallet, nil
  if item.subscriber ~= '' then
    member = call:member(item.tenant, item.wallet, item.subscriber)
    if not member then return false end
    who = member
  end
  local before = who.holds
  local holds = bit.bor(before, item.bits)
  if item.kind == RELEASE then holds = before - bit.band(before, item.bits) end
  if member then
    member.holds, member.dirty = holds, true
    cross(call, wallet, member, before, item.hold, item.cause)
  else
    set_wallet_holds(call, wallet, holds, item.hold, item.cause)
  end
  return true
end

local function decide_command(call, item, wallet)
  if item.kind == CREDIT then return move_money(call, item, wallet, 1) end
  if item.kind == DEBIT or item.kind == FORCE then return move_money(call, item, wallet, -1) end
  local v = {fate = RATED, reason = 0, bu = wallet.bu, bn = wallet.bn}
  local changed = true
  if item.kind == FLOOR then
    wallet.fu, wallet.fn = item.u, item.n
    check_floor(call, wallet, item.cause)
  elseif item.kind == JOIN then changed = join(call, item, wallet)
  elseif item.kind == LEAVE then changed = leave(call, item, wallet)
  elseif item.kind == HOLD or item.kind == RELEASE then
    if not hold(call, item, wallet) then return nil end
  end
  v.n = changed and next_n(wallet) or wallet.n
  return v
end

local function create(call, item)
  local wallet = {tenant = item.tenant, name = item.wallet, currency = item.currency, bu = item.u, bn = item.n,
    fu = item.floor_u, fn = item.floor_n, n = 0, holds = 0, version = 0, dirty = true}
  call.wallets[wallet_key(call.tag, item.tenant, item.wallet)] = wallet
  local v = {fate = RATED, reason = 0, bu = 0, bn = 0, n = next_n(wallet)}
  check_floor(call, wallet, item.cause)
  return v, wallet
end

local function journal(call, item, wallet, v)
  call.outbox[#call.outbox + 1] = {'J', item.kind, item.tenant, item.wallet, call.epoch, v.n, item.cause,
    item.u, item.n, v.bu, v.bn, wallet.bu, wallet.bn, wallet.currency, call.now_ms, wallet.holds, item.subscriber,
    item.note}
end

local function decide(call, item)
  local wallet = call:wallet(item.tenant, item.wallet)
  if item.kind ~= USAGE then
    local v
    if item.kind == CREATE and not wallet then v, wallet = create(call, item)
    elseif not wallet then return stale(item, 'no_wallet')
    elseif item.currency ~= '' and item.currency ~= wallet.currency then return stale(item, 'currency')
    elseif item.kind == CREATE then v = {fate = RATED, reason = 0, bu = wallet.bu, bn = wallet.bn, n = 0}
    else v = decide_command(call, item, wallet) end
    if not v then return stale(item, 'assignment') end
    if v.fate == RATED and v.n > 0 then journal(call, item, wallet, v) end
    local packed = verdict(call, item, wallet, v)
    call.kept[#call.kept + 1] = item.identity
    call.kept[#call.kept + 1] = packed
    return 'N' .. packed, packed
  end
  local member = call:member(item.tenant, item.wallet, item.subscriber)
  if not wallet then return stale(item, 'no_wallet') end
  if not member or member.assigned ~= item.version then
    return stale(item, 'assignment', member and member.assigned or 0)
  end
  if item.currency ~= wallet.currency then return stale(item, 'currency') end
  local v, present = decide_usage(call, item, wallet, member)
  if not v then return stale(item, 'counters', member.assigned, present) end
  local packed = verdict(call, item, wallet, v)
  call.verdicts[#call.verdicts + 1] = item.identity
  call.verdicts[#call.verdicts + 1] = packed
  return 'N' .. packed, packed
end

-- Functions ------------------------------------------------------------------------------------------------------------

local function remembered(call, identities, kept)  -- {identity = verdict} for those known
  local known = {}
  local function look(key, wanted)
    local missing = {}
    if #wanted == 0 then return missing end
    local found = fetch('HMGET', key, wanted)
    for i, identity in ipairs(wanted) do
      if found[i] then known[identity] = found[i] else missing[#missing + 1] = identity end
    end
    return missing
  end
  local missing = identities
  for generation = call.generation, call.oldest, -1 do missing = look(call.tag .. ':v:' .. generation, missing) end
  look(call.tag .. ':k', kept)
  return known
end

local function preload_sessions(call, items)
  local wanted = {}
  for _, item in ipairs(items) do
    for _, use in ipairs(item.uses) do
      if is_session(use) then
        local field = session_field(item, use)
        if not call.sessions[field] then
          call.sessions[field] = {value = 0}
          wanted[#wanted + 1] = field
        end
      end
    end
  end
  for generation = call.generation, call.oldest, -1 do
    if #wanted == 0 then return end
    local found, missing = fetch('HMGET', call.tag .. ':x:' .. generation, wanted), {}
    for i, field in ipairs(wanted) do
      if found[i] then call.sessions[field].value = tonumber(found[i]) else missing[#missing + 1] = field end
    end
    wanted = missing
  end
end

local function preload(call, request)  -- each wallet and member of the batch is read once
  local keys = {}
  for i, w in ipairs(request.wallets) do keys[i] = wallet_key(call.tag, w[1], w[2]) end
  for i, packed in ipairs(fetch('MGET', nil, keys)) do
    call:wallet(request.wallets[i][1], request.wallets[i][2], packed)
  end
  keys = {}
  for i, m in ipairs(request.members) do
    local w = request.wallets[m[1]]
    keys[i] = member_key(call.tag, w[1], w[2], m[2])
  end
  if #keys == 0 then return end
  for i, packed in ipairs(fetch('MGET', nil, keys)) do
    local w = request.wallets[request.members[i][1]]
    call:member(w[1], w[2], request.members[i][2], packed)
  end
end

local function unpack_request(packed)
  local r = cmsgpack.unpack(packed)
  local request = {now_ms = r[1], epoch = r[2], wallets = r[3], members = r[4], items = {}}
  for i, s in ipairs(r[5]) do
    local w, m = r[3][s[2]], r[4][s[3]]
    request.items[i] = {kind = s[1], tenant = w[1], wallet = w[2], subscriber = m and m[2] or '', version = s[4],
      identity = s[5], fingerprint = s[6], token = s[7], cause = s[8], currency = s[9], u = s[10], n = s[11],
      uses = s[12], refuse = s[13], free = s[14], catalogue = s[15], bits = s[16] or 0, hold = s[17] or '',
      note = s[18] or '', floor_u = s[19] or 0, floor_n = s[20] or 0}
  end
  return request
end

local function apply(keys, args)
  local tag, request = keys[1], unpack_request(args[1])
  local call = open_call(tag, request.now_ms)
  local replies, usage_ids, other_ids = {}, {}, {}
  if request.epoch ~= 0 and request.epoch ~= call.epoch then
    for i in ipairs(request.items) do replies[i] = stale(nil, 'epoch') end
    return replies
  end
  for _, item in ipairs(request.items) do
    local ids = item.kind == USAGE and usage_ids or other_ids
    ids[#ids + 1] = item.identity
  end
  local known = remembered(call, usage_ids, other_ids)
  preload(call, request)
  preload_sessions(call, request.items)
  local behind = {}
  for i, item in ipairs(request.items) do
    local key = item.tenant .. '/' .. item.wallet
    if known[item.identity] then
      replies[i] = 'K' .. known[item.identity]
    elseif behind[key] then
      replies[i] = stale(item, 'behind')
    else
      local reply, packed = decide(call, item)
      replies[i] = reply
      if packed then known[item.identity] = packed else behind[key] = true end
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
  local known, replies = remembered(call, args, args), {}
  for i, identity in ipairs(args) do replies[i] = known[identity] and 'K' .. known[identity] or '' end
  return replies
end

-- A generation ends when it is `window_ms` old. The oldest but two are dropped once the caller says that everything
-- decided before `safe_ms` is acknowledged by every door and can be read in ClickHouse.
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
    redis.call('UNLINK', tag .. ':v:' .. oldest, tag .. ':x:' .. oldest)
    redis.call('HDEL', key, 'end_ms:' .. oldest)
    oldest = oldest + 1
    redis.call('HSET', key, 'oldest', string.format('%.0f', oldest), 'dropped_before_ms', string.format('%.0f', end_ms))
  end
  return {generation, oldest, redis.call('HGET', key, 'dropped_before_ms') or '0'}
end

redis.register_function('NAME_apply', apply)
redis.register_function('NAME_fan_out', fan_out)
redis.register_function{function_name = 'NAME_lookup', callback = lookup, flags = {'no-writes'}}
redis.register_function('NAME_rotate', rotate)
