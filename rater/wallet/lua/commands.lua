-- Everything that changes a wallet and is not usage. Each change takes a number and leaves a line in the journal.

local CREATE, CREDIT, DEBIT, FORCE, HOLD, RELEASE, FLOOR, JOIN, LEAVE, NOTE, PLAN, THRESHOLD = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

local function create(call, item)
  local wallet = item.wallet
  wallet.currency, wallet.bu, wallet.bn = item.currency, item.u, item.n
  wallet.fu, wallet.fn = item.floor_u, item.floor_n
  wallet.n, wallet.holds, wallet.version = 0, 0, 0
  local v = {fate = RATED, reason = 0, bu = 0, bn = 0, n = next_n(wallet)}
  check_floor(call, wallet, item.cause)
  return v
end

local function move_money(call, item, v)
  local wallet = item.wallet
  local u, n
  if item.kind == CREDIT then u, n = add(wallet.bu, wallet.bn, item.u, item.n)
  else u, n = sub(wallet.bu, wallet.bn, item.u, item.n) end
  if not fits_int64(u, n) then v.fate, v.reason = REFUSED, LIMIT; return end
  if item.kind == DEBIT and less(u, n, wallet.fu, wallet.fn) then v.fate, v.reason = REFUSED, INSUFFICIENT; return end
  if item.kind ~= CREDIT then v.cu, v.cn = item.u, item.n end
  wallet.bu, wallet.bn, v.n = u, n, next_n(wallet)
  check_floor(call, wallet, item.cause)
  if item.kind == CREDIT then wake(call, wallet) end
end

local function list_member(call, item, command, ...)
  local change = {command, members_key(call.tag, item.wallet.tenant, item.wallet.name), ...}
  change[#change + 1] = item.member.subscriber
  call.listed[#call.listed + 1] = change
end

local function join(call, item, v)
  local wallet, member = item.wallet, item.member
  -- At the same version a joining undoes a leaving: that was the intent of a move which the directory never took over.
  if member.assigned > item.version or (member.assigned == item.version and member.active == 1) then return end
  v.n = next_n(wallet)
  -- A newcomer brings its own holds along: the platform has heard of those. The old subscription's stay behind with it,
  -- and the wallet's is new.
  local before, kept = member.holds, member.holds
  if member.active == 0 then before, kept = item.bits, without(item.bits, EXPIRED + PAYMENT) end
  member.assigned, member.active, member.dirty = item.version, 1, true
  member.holds = without(kept, PARENT) + parent_of(wallet, member)
  cross(call, wallet, member, before, kept == before and 'parent' or 'payment', item.cause)
  wallet.joined = true
  list_member(call, item, 'ZADD', 0)
end

local function leave(call, item, v)  -- its record stays: to tell an old view, and for usage from before
  local wallet, member = item.wallet, item.member
  if member.assigned >= item.version then return end
  v.n = next_n(wallet)
  local before = member.holds
  member.assigned, member.active, member.dirty = item.version, 0, true
  member.holds = without(before, PARENT)
  cross(call, wallet, member, before, 'parent', item.cause)
  list_member(call, item, 'ZREM')
  set_pool(call, item, false)
  check_floor(call, wallet, item.cause)
end

local function change_holds(call, item, v)  -- answers false if the subscriber is no member
  local wallet, member = item.wallet, item.member
  if member and member.active == 0 then return false end
  v.n = next_n(wallet)
  local before = (member or wallet).holds
  local holds = item.kind == HOLD and bit.bor(before, item.bits) or without(before, item.bits)
  if not member then set_wallet_holds(call, wallet, holds, item.hold, item.cause); return true end
  member.holds, member.dirty = holds, true
  cross(call, wallet, member, before, item.hold, item.cause)
  return true
end

local function decide_command(call, item)  -- n 0: refused, or nothing was left to change
  local wallet, kind = item.wallet, item.kind
  local v = {fate = RATED, reason = 0, bu = wallet.bu, bn = wallet.bn, n = 0}
  if kind == CREDIT or kind == DEBIT or kind == FORCE then move_money(call, item, v)
  elseif kind == FLOOR then
    wallet.fu, wallet.fn, v.n = item.u, item.n, next_n(wallet)
    check_floor(call, wallet, item.cause)
    wake(call, wallet)
  elseif kind == THRESHOLD then
    wallet.lu, wallet.ln, v.n = nil, nil, next_n(wallet)
    if item.note ~= 'none' then wallet.lu, wallet.ln, wallet.is_low = item.u, item.n, false end
    check_low(call, wallet, item.cause)
  elseif kind == JOIN then join(call, item, v)
  elseif kind == LEAVE then leave(call, item, v)
  elseif kind ~= CREATE and kind ~= NOTE and not change_holds(call, item, v) then return nil end
  return v
end

local function journal(call, item, v)
  local wallet = item.wallet
  call.outbox[#call.outbox + 1] = {'J', item.kind, wallet.tenant, wallet.name, call.epoch, v.n, item.cause,
    item.u, item.n, v.bu, v.bn, wallet.bu, wallet.bn, wallet.currency, call.now_ms, wallet.holds,
    item.member and item.member.subscriber or '', item.note}
end
