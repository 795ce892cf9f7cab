-- A step of a subscription: a fee and what it is for, in one. The caller worked out both outcomes, paid and not paid, upon
-- the member as it believes it to be; the balance decides which of them comes true.

local EXPIRED, PAYMENT = 2, 4
local LIMIT = 5

local function outcome_of(packed)
  local o = {}
  o.upon, o.document, o.bits, o.reason, o.due_ms, o.waits, o.floor_u, o.floor_n, o.news, o.pools,
    o.shares = unpack(packed)
  return o
end

-- What comes about: the fee can be paid, or it cannot and there is an outcome for that, or nothing.
local function choose(item, wallet)
  local paid, unpaid = item.step[2], item.step[3]
  local o, u, n = outcome_of(paid), sub(wallet.bu, wallet.bn, item.u, item.n)
  local fu, fn = o.floor_u or wallet.fu, o.floor_n or wallet.fn
  if not fits_int64(u, n) then return nil, LIMIT end
  if not positive(item.u, item.n) or not less(u, n, fu, fn) then return o, 0 end
  return unpaid and outcome_of(unpaid), INSUFFICIENT
end

local SOON_MS = 1000

-- Subscriptions of the wallet that could not be paid, or have expired, are due again now that there is money. Never at
-- the instant of an entry that stands there already: whoever is working that one off must not take it out with it.
local function wake(call, wallet)
  local who = wallet.tenant .. '/' .. wallet.name .. '/'
  if not wallet.waits and redis.call('EXISTS', waiting_key(call.tag, wallet.tenant, wallet.name)) == 0 then return end
  local ahead_ms = tonumber(redis.call('ZSCORE', timers_key(call.tag), who) or 0) - call.now_ms
  local due_ms = call.now_ms + (ahead_ms >= 0 and ahead_ms < SOON_MS and ahead_ms + 1 or 0)
  call.listed[#call.listed + 1] = {'ZADD', timers_key(call.tag), string.format('%.0f', due_ms), who}
end

local function keep_document(call, item, o)
  local wallet, who = item.wallet, item.member.subscriber
  local states, listed = call.states, call.listed
  states[#states + 1] = document_key(call.tag, wallet.tenant, wallet.name, who)
  states[#states + 1] = o.document
  local timer = wallet.tenant .. '/' .. wallet.name .. '/' .. who
  listed[#listed + 1] = o.due_ms >= 0 and {'ZADD', timers_key(call.tag), string.format('%.0f', o.due_ms), timer}
    or {'ZREM', timers_key(call.tag), timer}
  wallet.waits = wallet.waits or o.waits == 1
  listed[#listed + 1] = {o.waits == 1 and 'SADD' or 'SREM', waiting_key(call.tag, wallet.tenant, wallet.name), who}
end

-- Shared allowances make a subscriber the pool of its wallet. There is one, the first; another's are for itself alone.
local function set_pool(call, item, pools, shares)
  local wallet, who = item.wallet, item.member.subscriber
  if not wallet.pooled and not pools then return end
  local key = pool_key(call.tag, wallet.tenant, wallet.name)
  if wallet.pooled and redis.call('GET', key) ~= who then return end
  wallet.pooled, wallet.pool_covers = pools, pools and shares
  call.listed[#call.listed + 1] = pools and {'SET', key, who} or {'DEL', key}
end

local function step_subscription(call, item)  -- answers a verdict, a stale answer, or nil if there is no such member
  local wallet, member = item.wallet, item.member
  if member.active == 0 then return nil end
  if member.upon ~= item.step[1] then return stale('counters', {pack_member(member), {}}) end
  local v = {fate = RATED, bu = wallet.bu, bn = wallet.bn, n = 0}
  local o
  o, v.reason = choose(item, wallet)
  if not o then v.fate = REFUSED; return v end
  v.news = o.news
  if v.reason == INSUFFICIENT then item.u, item.n = 0, 0 end
  wallet.bu, wallet.bn = sub(wallet.bu, wallet.bn, item.u, item.n)
  v.n = next_n(wallet)
  if item.u >= 0 then v.cu, v.cn = item.u, item.n end
  local has_more = item.u < 0 or (o.floor_u and less(o.floor_u, o.floor_n, wallet.fu, wallet.fn))
  if o.floor_u then wallet.fu, wallet.fn = o.floor_u, o.floor_n end
  set_upon(member, o.upon)
  set_pool(call, item, o.pools, o.shares)
  local before = member.holds
  local others = without(before, EXPIRED + PAYMENT + PARENT)
  member.holds, member.dirty = bit.bor(others, o.bits, parent_of(wallet, member)), true
  cross(call, wallet, member, before, o.reason, item.cause)
  check_floor(call, wallet, item.cause)
  if has_more then wake(call, wallet) end
  keep_document(call, item, o)
  return v
end
