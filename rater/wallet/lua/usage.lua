-- Usage: covered as far as the balance reaches; the rest is recorded as uncovered. Counters advance by all of it.
--
-- A batch comes sorted by wallet. Where nothing stands in the way of any event of a wallet (all ids new, nobody held,
-- money left after the last, members as the caller assumed), they are charged as one sum: `charge_at_once`. Else one by
-- one, by the same rules: `charge_in_turn`.
--
-- A verdict is two parts. What only the function knows, the same for all events of a wallet that are charged at once:
local HEAD = '<BBI2I6I6i5I4'  -- fate, reason, epoch, n, decided_ms, balance before (units, nanos)
-- And what the caller knew, told as bytes: the event's place behind the head's n, what was charged between the head's
-- balance and the event (int64 nanos, the caller's own notation), what is charged (units, nanos); the rest is
-- the caller's. Only charged is read here, and all three are written anew where an event is decided by itself.
local PLACE, PLACE_BYTES = '<I2i8I5I4', 19
local CHARGED, CHARGED_AT = '<I5I4I4', 11  -- and after it the assignment version the event was rated under

local RATED, REFUSED = 0, 1
local SUSPENDED, INSUFFICIENT, AMOUNT_LIMIT, USED_UP = 1, 4, 6, 7
-- Flags of an event: the reason it is refused for by tariff or plan; it passes holds; it was rated without counting, so
-- that it may not be charged; an allowance pays for some of it; after it the pool has something left for all.
local FREE, UNCOUNTED, ALLOWED, SHARES = 256, 512, 1024, 2048
local NONE = {}

local function next_n(wallet)
  wallet.n, wallet.dirty = wallet.n + 1, true
  return wallet.n
end

local function stale(why, detail) return 'S' .. cmsgpack.pack({why, detail or 0}) end

-- Whether the pool is as the caller assumed; and what the wallet then says of it.
local function pool_at_once(batch, w, marks)
  local pool = batch.pools[w]
  if pool == 0 then return marks < POOLED, 0 end
  local state = batch.pool_states[w]
  if marks < POOLED or state ~= pool[2] or batch.pool_keys[w] ~= pool[1] then return false end
  return true, (pool[3] == '' or pool[5]) and marks or POOLED  -- usage only takes: what has ended stays ended
end

-- The wallet's state if all its events can be charged at once: nobody of them is held, or will be.
local function at_once(batch, w, last_member)
  local packed = batch.wallet_states[w]
  if not packed or batch.plain[w] == 0 then return end
  local currency, bu, bn, fu, fn, n, marks, version = struct.unpack(WALLET, packed)
  if marks % POOLED ~= 0 or currency ~= batch.currencies[w] then return end
  local is_assumed, marks_after = pool_at_once(batch, w, marks)
  if not is_assumed then return end
  assert(batch.units[w] >= 0, 'negative amount')
  local u, nanos = sub(bu, bn, batch.units[w], batch.nanos[w])
  local is_free = marks_after >= POOL_COVERS and u == bu and nanos == bn
  if not (is_free or less(fu, fn, u, nanos)) then return end
  local threshold = ''
  if #packed > WALLET_BYTES then
    local wallet = read_wallet('', '', packed)
    local was_low = wallet.is_low
    wallet.bu, wallet.bn = u, nanos
    if is_low(wallet) and not was_low then return end
    threshold = string.sub(packed, WALLET_BYTES + 1)
  end
  for m = batch.first_member, last_member do
    local state = batch.member_states[m]
    if state ~= batch.members_before[m] then return end
    local own = string.byte(state, HOLDS_AT)
    if own ~= 0 and own ~= PARENT then return end
  end
  local after = struct.pack(WALLET, currency, u, nanos, fu, fn, n + batch.counts[w], marks_after, version) .. threshold
  return after, struct.pack(HEAD, RATED, 0, batch.call.epoch, n + 1, batch.call.now_ms, bu, bn)
end

local function charge_at_once(batch, w, last_item, last_member)  -- answers the head, or nothing if it cannot be
  local after, head = at_once(batch, w, last_member)
  if not after then return end
  local known, ids, told, verdicts = batch.known, batch.ids, batch.told, batch.call.verdicts
  local place = #verdicts
  for i = batch.first_item, last_item do
    local id = ids[i]
    if known[id] then  -- of before, or twice in this batch
      for j = batch.first_item, i - 1 do known[ids[j]] = nil end
      for j = place + 1, #verdicts do verdicts[j] = nil end
      return
    end
    local verdict = head .. told[i]
    known[id] = verdict
    verdicts[#verdicts + 1] = id
    verdicts[#verdicts + 1] = verdict
  end
  local states, members_after, pool = batch.call.states, batch.members_after, batch.pools[w]
  states[#states + 1] = batch.wallet_keys[w]
  states[#states + 1] = after
  for m = batch.first_member, last_member do
    if members_after[m] ~= '' then
      states[#states + 1] = batch.member_keys[m]
      states[#states + 1] = members_after[m]
    end
  end
  if pool ~= 0 and pool[3] ~= '' then
    states[#states + 1] = pool[1]
    states[#states + 1] = pool[3]
  end
  return head
end

local function pool_assumed(item, wallet)
  local pool = item.pool
  if not pool then return not wallet.pooled end
  if (item.pool_after or item.refuse ~= 0) and pool.expected ~= pool.upon then return false end
  return wallet.pooled and pool.is_it and terms_of(pool.expected) == terms_of(pool.upon)
end

local function assumed(item, member)  -- whether subscription and counters are what rating took them to be
  if not pool_assumed(item, item.wallet) then return false end
  if (item.after or item.refuse ~= 0) and member.expected ~= member.upon then return false end
  if terms_of(member.expected) ~= terms_of(member.upon) then return false end
  for _, s in ipairs(item.sessions) do
    if s.is.value ~= s.before then return false end
  end
  return true
end

local function present(call, item, member)  -- for the caller to rate from
  local sessions, wallet = {}, item.wallet
  for i, s in ipairs(item.sessions) do sessions[i] = s.is.value end
  if not wallet.pooled then return {pack_member(member), sessions} end
  local name = redis.call('GET', pool_key(call.tag, wallet.tenant, wallet.name))
  return {pack_member(member), sessions, name, pack_member(call:load_members({{wallet, name}})[1])}
end

local function decide_usage(call, item)  -- answers a verdict, or nil if it has to be rated again
  local wallet, member = item.wallet, item.member
  local v = {fate = REFUSED, reason = SUSPENDED, bu = wallet.bu, bn = wallet.bn}
  local held = holds_for(wallet, member) ~= 0 or without(member.holds, PARENT) ~= 0
  if held and not item.free then return v end
  -- A refusal burns the id, so one that follows from the counters needs the right ones, and any the right plan.
  local is_counted = item.refuse == AMOUNT_LIMIT or item.refuse == USED_UP
  local is_other_plan = terms_of(member.expected) ~= terms_of(member.upon)
  if item.refuse ~= 0 and not is_counted and not is_other_plan then v.reason = item.refuse; return v end
  if item.uncounted or not assumed(item, member) then return nil end
  if item.refuse ~= 0 then v.reason = item.refuse; return v end
  local au, an = sub(wallet.bu, wallet.bn, wallet.fu, wallet.fn)
  if not positive(au, an) then au, an = 0, 0 end
  -- A member that allowances cover comes here without money, also for what they do not cover: that is refused.
  local pays = item.allowed or item.free or positive(au, an)
  if positive(item.u, item.n) and not pays then v.reason = INSUFFICIENT; return v end
  v.cu, v.cn = item.u, item.n
  if less(au, an, item.u, item.n) then v.cu, v.cn = au, an end
  v.fate, v.reason, v.n = RATED, 0, next_n(wallet)
  wallet.bu, wallet.bn = sub(wallet.bu, wallet.bn, v.cu, v.cn)
  if item.after then
    local covered = member.covered
    set_upon(member, item.after)
    member.dirty = true
    if member.covered ~= covered then follow(call, wallet, member, 'balance', item.cause) end
  end
  if item.pool_after then
    local pool, covered = item.pool, item.pool.covered
    set_upon(pool, item.pool_after)
    pool.dirty, wallet.pool_covers = true, wallet.pool_covers and item.shares
    if pool.covered ~= covered then follow(call, wallet, pool, 'balance', item.cause) end
  end
  for _, s in ipairs(item.sessions) do s.is.value, s.is.dirty = s.after, true end
  check_floor(call, wallet, item.cause)
  return v
end

local function verdict_of(call, v, told)
  return struct.pack(HEAD, v.fate, v.reason, call.epoch, v.n or 0, call.now_ms, v.bu, v.bn) ..
    struct.pack(PLACE, 0, 0, v.cu or 0, v.cn or 0) .. string.sub(told, PLACE_BYTES + 1)
end

local function answer_usage(batch, item)  -- answers the reply, and whether the wallet's later events must wait for it
  local call, wallet, member = batch.call, item.wallet, item.member
  -- The caller looked elsewhere for ids from before a time; if more is forgotten here by now, it must look again.
  if batch.forgot_more then return stale('memory', call.dropped_before_ms), true end
  -- These two wait for a repair, not for their turn: nothing is behind them.
  if not wallet.currency then return stale('no_wallet') end
  if member.assigned ~= item.version then return stale('assignment', member.assigned), true end
  if item.currency ~= wallet.currency then return stale('currency') end
  local v = decide_usage(call, item)
  if not v then return stale('counters', present(call, item, member)), true end
  local verdict = verdict_of(call, v, item.told)
  call.verdicts[#call.verdicts + 1] = item.identity
  call.verdicts[#call.verdicts + 1] = verdict
  batch.known[item.identity] = verdict
  -- In lower case where the caller's view of the member is an old one, though it did not matter for this event.
  return (member.is_other and 'n' or 'N') .. verdict
end

-- The caller rates a member's events one upon the other; `after` is the member as it then is: 1 as told with it, else
-- what changes of it as it was `upon`: how much stays at the beginning and at the end, and what stands between.
local SPLICE, SPLICE_BYTES = '<I4I4', 8
local function upon_after(after, last, upon)
  if after == '' then return nil end
  if after == 1 then return string.sub(last, MEMBER_BYTES + 1) end
  local head, tail = struct.unpack(SPLICE, after)
  return string.sub(upon, 1, head) .. string.sub(after, SPLICE_BYTES + 1) .. string.sub(upon, #upon - tail + 1)
end

local function item_at(batch, i, w, wallet, pool)
  local flags, m = batch.flags[i], batch.member_of[i]
  local units, nanos, version = struct.unpack(CHARGED, batch.told[i], CHARGED_AT)
  local sessions = {}
  for j, s in ipairs(batch.sessions[i] ~= 0 and batch.sessions[i] or NONE) do
    sessions[j] = {is = batch.call.sessions[s[1]], before = s[2], after = s[3]}
  end
  local currency = batch.currencies[w]
  if type(currency) == 'table' then currency = currency[i - batch.first_item + 1] end
  local member = batch.members[m]
  -- Two chains of changes, each moved here alone: a pool that has usage of its own is told of as both.
  local after = upon_after(batch.after[i], batch.members_after[m], member.told)
  member.told = after or member.told
  local pool_after = pool and upon_after(batch.pools[w][4][i - batch.first_item + 1], batch.pools[w][3], pool.told_as_pool)
  if pool_after then pool.told_as_pool = pool_after end
  return {identity = batch.ids[i], told = batch.told[i], wallet = wallet, member = member, cause = batch.causes[i],
    after = after, pool_after = pool_after, currency = currency, version = version,
    refuse = flags % FREE, free = flags % UNCOUNTED >= FREE, uncounted = flags % ALLOWED >= UNCOUNTED,
    allowed = flags % SHARES >= ALLOWED, shares = flags >= SHARES, u = units, n = nanos, sessions = sessions, pool = pool}
end

local function names_of(key, tag, kind)  -- "{s1}:w:tenant/wallet" -> tenant, "wallet"; of a member "wallet/subscriber"
  local path = string.sub(key, #tag + #kind + 3)
  local cut = string.find(path, '/', 1, true)
  return string.sub(path, 1, cut - 1), string.sub(path, cut + 1)
end

local function pool_of(batch, w, wallet_name)  -- it may be a member that has usage of its own: then it is one and the same
  local told, call = batch.pools[w], batch.call
  if told == 0 then return nil end
  local _, path = names_of(told[1], call.tag, 'b')
  local pool = call.members[told[1]] or read_member(string.sub(path, #wallet_name + 2), batch.pool_states[w])
  call.members[told[1]], pool.expected = pool, string.sub(told[2], MEMBER_BYTES + 1)
  pool.told_as_pool = pool.expected
  pool.is_it = batch.pool_keys[w] == told[1]  -- else it left, and another took its place
  return pool
end

local function charge_in_turn(batch, w, last_item, last_member)
  local call, key, replies = batch.call, batch.wallet_keys[w], {}
  local tenant, name = names_of(key, call.tag, 'w')
  local wallet = read_wallet(tenant, name, batch.wallet_states[w])
  call.wallets[key] = wallet
  for m = batch.first_member, last_member do
    local _, path = names_of(batch.member_keys[m], call.tag, 'b')
    local member = read_member(string.sub(path, #name + 2), batch.member_states[m])
    member.expected = string.sub(batch.members_before[m], MEMBER_BYTES + 1)
    member.told = member.expected
    member.is_other = batch.member_states[m] ~= batch.members_before[m]
    batch.members[m], call.members[batch.member_keys[m]] = member, member
  end
  local pool, behind = pool_of(batch, w, name), false
  for i = batch.first_item, last_item do
    local item = item_at(batch, i, w, wallet, pool)
    local known = batch.known[item.identity]
    if known then replies[#replies + 1] = 'K' .. known
    elseif behind then replies[#replies + 1] = stale('behind', present(call, item, item.member))
    else
      replies[#replies + 1], behind = answer_usage(batch, item)
    end
    item.member.expected = item.after or item.member.expected
    if pool then pool.expected = item.pool_after or pool.expected end
  end
  return replies
end
