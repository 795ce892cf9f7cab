-- What one call reads and writes: each wallet, member and session counter once. Nothing is written before everything is
-- decided (`Call:save`), because Redis does not roll back what a failing script wrote.

local CHUNK = 4000     -- arguments of one redis.call; Lua's unpack stops at about 8,000

local function chunked(command, key, list)
  for first = 1, #list, CHUNK do
    redis.call(command, key, unpack(list, first, math.min(first + CHUNK - 1, #list)))
  end
end

local function fetch(command, key, fields)  -- HMGET of a key, or MGET without one, of any number of fields
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

local function is_session(use) return string.sub(use[1], 1, 8) == 'session:' end

local function session_field(item, use) return item.tenant .. '/' .. item.subscriber .. '/' .. use[1] end

local Call = {}
Call.__index = Call

local function open_call(tag, now_ms)
  local call = setmetatable({tag = tag, now_ms = now_ms, wallets = {}, members = {}, sessions = {}, outbox = {},
    verdicts = {}, kept = {}, pending = {}, joined = {}}, Call)
  local meta = redis.call('HMGET', tag .. ':meta', 'epoch', 'generation', 'oldest', 'dropped_before_ms')
  call.epoch = tonumber(meta[1] or 1)
  call.generation = tonumber(meta[2] or 0)
  call.oldest = tonumber(meta[3] or 0)
  call.dropped_before_ms = tonumber(meta[4] or 0)
  return call
end

local function wallet_key(tag, tenant, name) return tag .. ':w:' .. tenant .. '/' .. name end
local function members_key(tag, tenant, name) return tag .. ':m:' .. tenant .. '/' .. name end
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

function Call:load_members(tenant, name, subscribers)
  local keys = {}
  for i, subscriber in ipairs(subscribers) do keys[i] = member_key(self.tag, tenant, name, subscriber) end
  for i, packed in ipairs(fetch('MGET', nil, keys)) do self:member(tenant, name, subscribers[i], packed) end
end

function Call:load(request)
  local keys = {}
  for i, w in ipairs(request.wallets) do keys[i] = wallet_key(self.tag, w[1], w[2]) end
  for i, packed in ipairs(fetch('MGET', nil, keys)) do
    self:wallet(request.wallets[i][1], request.wallets[i][2], packed)
  end
  keys = {}
  for i, m in ipairs(request.members) do
    local w = request.wallets[m[1]]
    keys[i] = member_key(self.tag, w[1], w[2], m[2])
  end
  for i, packed in ipairs(fetch('MGET', nil, keys)) do
    local w = request.wallets[request.members[i][1]]
    self:member(w[1], w[2], request.members[i][2], packed)
  end
end

function Call:load_sessions(items)
  local wanted = {}
  for _, item in ipairs(items) do
    for _, use in ipairs(item.uses) do
      if is_session(use) then
        local field = session_field(item, use)
        if not self.sessions[field] then
          self.sessions[field] = {value = 0}
          wanted[#wanted + 1] = field
        end
      end
    end
  end
  for generation = self.generation, self.oldest, -1 do
    if #wanted == 0 then return end
    local found, missing = fetch('HMGET', self.tag .. ':x:' .. generation, wanted), {}
    for i, field in ipairs(wanted) do
      if found[i] then self.sessions[field].value = tonumber(found[i]) else missing[#missing + 1] = field end
    end
    wanted = missing
  end
end

function Call:remembered(usage_ids, other_ids)  -- {identity = verdict} of those known
  local known = {}
  local function look(key, wanted)
    local missing = {}
    for i, packed in ipairs(fetch('HMGET', key, wanted)) do
      if packed then known[wanted[i]] = packed else missing[#missing + 1] = wanted[i] end
    end
    return missing
  end
  local missing = usage_ids
  for generation = self.generation, self.oldest, -1 do missing = look(self.tag .. ':v:' .. generation, missing) end
  look(self.tag .. ':k', other_ids)
  return known
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
