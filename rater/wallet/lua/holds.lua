-- Holds: a set of bits on a wallet and on each member. Empty to non-empty is one `suspended` event, non-empty to empty
-- one `resumed`; they go through the outbox, the wallet's first, then each member's.

local BALANCE, PARENT = 1, 32
local INLINE = 32      -- members that follow their wallet in the same call; the rest follow in pages, off the hot path

local function without(holds, bits) return holds - bit.band(holds, bits) end

local function cross(call, wallet, member, before, reason, cause)
  local who = member or wallet
  if (before == 0) == (who.holds == 0) then return end
  who.version = who.version + 1
  call.outbox[#call.outbox + 1] = {'L', who.holds ~= 0 and 'suspended' or 'resumed', wallet.tenant, wallet.name,
    member and member.subscriber or '', reason, who.holds, who.version, wallet.bu, wallet.bn, wallet.currency,
    call.epoch, wallet.n, cause, call.now_ms}
end

local function holds_for(wallet, member)  -- an empty balance does not hold a member that an allowance covers
  return member.covered and without(wallet.holds, BALANCE) or wallet.holds
end

local function parent_of(wallet, member) return holds_for(wallet, member) ~= 0 and PARENT or 0 end

local function follow(call, wallet, member, reason, cause)  -- a member takes over whether its wallet is held
  local before = member.holds
  local after = without(before, PARENT) + parent_of(wallet, member)
  if after == before then return end
  member.holds, member.dirty = after, true
  cross(call, wallet, member, before, reason, cause)
end

-- One page of members follows the wallet as it stands now, whatever it was when the crossing began; so a wallet that
-- crossed back in between costs nothing twice. Answers the cursor after the page, nil at the end.
local function page(call, wallet, cursor, limit, reason, cause)
  local from = cursor == '' and '-' or '(' .. cursor
  local key = members_key(call.tag, wallet.tenant, wallet.name)
  local names = redis.call('ZRANGEBYLEX', key, from, '+', 'LIMIT', 0, limit)
  local wanted = {}
  for i, name in ipairs(names) do wanted[i] = {wallet, name} end
  for _, member in ipairs(call:load_members(wanted)) do
    if member.active == 1 then follow(call, wallet, member, reason, cause) end
  end
  if #names == limit then return names[#names] end
end

local function set_wallet_holds(call, wallet, holds, reason, cause)
  local before = wallet.holds
  if holds == before then return end
  wallet.holds, wallet.dirty = holds, true
  local others_before, others = without(before, BALANCE), without(holds, BALANCE)
  if (before == 0) == (holds == 0) and (others_before == 0) == (others == 0) then return end
  cross(call, wallet, nil, before, reason, cause)
  -- Who joined in this very call is not listed yet: then all follow later.
  local cursor = wallet.joined and '' or page(call, wallet, '', INLINE, reason, cause)
  if cursor then
    call.pending[#call.pending + 1] = cmsgpack.pack({wallet.tenant, wallet.name, cursor, reason, cause})
  end
end

local function check_low(call, wallet, cause)  -- one notice each time that it becomes low
  local low = is_low(wallet)
  if low and not wallet.is_low then
    local u, n = sub(wallet.bu, wallet.bn, wallet.fu, wallet.fn)
    call.outbox[#call.outbox + 1] = {'W', 'wallet.low_balance', wallet.tenant, wallet.name, u, n, wallet.lu, wallet.ln,
      wallet.currency, call.epoch, wallet.n, cause, call.now_ms}
  end
  wallet.is_low = low
end

local function check_floor(call, wallet, cause)  -- reaching the floor is the crossing, also when the floor moved
  check_low(call, wallet, cause)
  local others = without(wallet.holds, BALANCE)
  local goes_on = wallet.pool_covers or positive(sub(wallet.bu, wallet.bn, wallet.fu, wallet.fn))
  set_wallet_holds(call, wallet, goes_on and others or others + BALANCE, 'balance', cause)
end
