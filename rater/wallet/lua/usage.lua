-- Usage: covered as far as the balance reaches; the rest is recorded as uncovered. Counters advance by all of it.

local USAGE = 0
local RATED, REFUSED = 0, 1
local SUSPENDED = 1

local function next_n(wallet)
  wallet.n, wallet.dirty = wallet.n + 1, true
  return wallet.n
end

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

local function forget_old(call, counters)  -- keys begin with their period's first day, so they sort by time
  for key in pairs(counters) do
    if key < call.oldest_period then counters[key] = nil end
  end
end

local function advance(call, item, member, values)
  for i, use in ipairs(item.uses) do
    local after = values[i] + use[2]
    if is_session(use) then
      local s = call.sessions[session_field(item, use)]
      s.value, s.dirty = after, true
    else
      if not member.counters[use[1]] then forget_old(call, member.counters) end
      member.counters[use[1]], member.dirty = after, true
    end
  end
end

local function decide_usage(call, item, wallet, member)  -- answers a verdict, or nil and the present counters
  local values = counters_before(call, item, member)
  local v = {fate = REFUSED, reason = SUSPENDED, bu = wallet.bu, bn = wallet.bn, counters = values}
  local held = wallet.holds ~= 0 or without(member.holds, PARENT) ~= 0
  if held and item.free == 0 then return v end
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
