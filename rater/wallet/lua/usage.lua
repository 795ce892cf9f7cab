-- Usage: covered as far as the balance reaches; the rest is recorded as uncovered. Counters advance by all of it.

local USAGE = 0
local RATED, REFUSED = 0, 1
local SUSPENDED, AMOUNT_LIMIT = 1, 6
local COUNTER_MAX = 9007199254740991  -- 2^53 - 1: beyond, a Lua number is not exact

local function next_n(wallet)
  wallet.n, wallet.dirty = wallet.n + 1, true
  return wallet.n
end

-- The counters of an entry come as {key, numbers, key, numbers, ...}; numbers are add, low, high, step, residue_low and
-- residue_high, packed: most entries have one or two counters, and tables are what such a call spends its time on.
local NUMBERS = '<i8i8i8i8i8i8'

local function is_session(key) return string.sub(key, 1, 8) == 'session:' end

local function session_field(item, key) return item.wallet.tenant .. '/' .. item.member.subscriber .. '/' .. key end

local function counters_before(call, item)
  local values, uses = {}, item.uses
  for i = 1, #uses, 2 do
    local key = uses[i]
    if is_session(key) then values[#values + 1] = call.sessions[session_field(item, key)].value
    else values[#values + 1] = item.member.counters[key] or 0 end
  end
  return values
end

local function assumed(uses, values)  -- whether the rating holds; whether a counter would grow too large
  local full = false
  for i, v in ipairs(values) do
    local more, low, high, step, residue_low, residue_high = struct.unpack(NUMBERS, uses[2 * i])
    if v < low or v > high then return false end
    if step > 0 and (v % step < residue_low or v % step > residue_high) then return false end
    full = full or v > COUNTER_MAX - more
  end
  return true, full
end

local function forget_old(call, counters)  -- keys begin with their period's first day, so they sort by time
  for key in pairs(counters) do
    if key < call.oldest_period then counters[key] = nil end
  end
end

local function advance(call, item, values)
  local member = item.member
  for i, v in ipairs(values) do
    local key, after = item.uses[2 * i - 1], v + struct.unpack('<i8', item.uses[2 * i])
    if is_session(key) then
      local s = call.sessions[session_field(item, key)]
      s.value, s.dirty = after, true
    else
      if not member.counters[key] then forget_old(call, member.counters) end
      member.counters[key], member.dirty = after, true
    end
  end
end

local NONE = {}

local function decide_usage(call, item)  -- answers a verdict, or nil and the present counters
  local wallet = item.wallet
  local values = item.uses and counters_before(call, item) or NONE
  local v = {fate = REFUSED, reason = SUSPENDED, bu = wallet.bu, bn = wallet.bn, counters = values}
  local held = wallet.holds ~= 0 or without(item.member.holds, PARENT) ~= 0
  if held and not item.free then return v end
  if item.refuse then v.reason = item.refuse; return v end
  local still, full = assumed(item.uses, values)
  if not still then return nil, values end
  if full then v.reason = AMOUNT_LIMIT; return v end
  local au, an = sub(wallet.bu, wallet.bn, wallet.fu, wallet.fn)
  if not positive(au, an) then au, an = 0, 0 end
  v.cu, v.cn = item.u, item.n
  if less(au, an, item.u, item.n) then v.cu, v.cn = au, an end
  v.fate, v.reason, v.n = RATED, 0, next_n(wallet)
  wallet.bu, wallet.bn = sub(wallet.bu, wallet.bn, v.cu, v.cn)
  advance(call, item, values)
  check_floor(call, wallet, item.cause)
  return v
end
