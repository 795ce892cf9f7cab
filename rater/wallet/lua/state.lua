-- What one call reads and writes: each wallet, member and session counter once. Nothing is written before everything is
-- decided (`Call:save`), because Redis does not roll back what a failing script wrote.

local CHUNK = 4000     -- arguments of one redis.call; Lua's unpack stops at about 8,000

local function chunked(list, command, ...)  -- a command on a list of any length, its first arguments repeated
  local fixed = {command, ...}
  for first = 1, #list, CHUNK do
    local last = math.min(first + CHUNK - 1, #list)
    if fixed[2] then redis.call(command, fixed[2], unpack(list, first, last))
    else redis.call(command, unpack(list, first, last)) end
  end
end

local function fetch(command, key, fields)  -- HMGET of a key, or MGET without one, of any number of fields
  if #fields == 0 then return {} end
  if #fields <= CHUNK then
    if key then return redis.call(command, key, unpack(fields)) end
    return redis.call(command, unpack(fields))
  end
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
    verdicts = {}, kept = {}, pending = {}, listed = {}, states = {}}, Call)
  local meta = redis.call('HMGET', tag .. ':meta', 'epoch', 'generation', 'oldest', 'dropped_before_ms')
  call.epoch = tonumber(meta[1] or 1)
  call.generation = tonumber(meta[2] or 0)
  call.oldest = tonumber(meta[3] or 0)
  call.dropped_before_ms = tonumber(meta[4] or 0)
  return call
end

local function wallet_key(tag, tenant, name) return tag .. ':w:' .. tenant .. '/' .. name end
local function members_key(tag, tenant, name) return tag .. ':m:' .. tenant .. '/' .. name end
local function waiting_key(tag, tenant, name) return tag .. ':u:' .. tenant .. '/' .. name end
local function pool_key(tag, tenant, name) return tag .. ':q:' .. tenant .. '/' .. name end
local function timers_key(tag) return tag .. ':t' end
local function document_key(tag, tenant, name, subscriber)
  return tag .. ':p:' .. tenant .. '/' .. name .. '/' .. subscriber
end
local function member_key(tag, tenant, name, subscriber)
  return tag .. ':b:' .. tenant .. '/' .. name .. '/' .. subscriber
end

-- A wallet: currency, balance (units, nanos), floor (units, nanos), n, holds, status_version; and where it has one, the
-- threshold at which it is low: so much (units, nanos), or less, available. Beside the holds stands whether a pool pays
-- for its members, and whether that has something left.
local POOLED, POOL_COVERS = 64, 128
local WALLET, WALLET_BYTES, LOW = '<c3i5I4i5I4I6BI4', 32, '<i5I4'

local function is_low(w)
  if not w.lu then return false end
  local u, n = sub(w.bu, w.bn, w.fu, w.fn)
  return not less(w.lu, w.ln, u, n)
end

local function read_wallet(tenant, name, packed)  -- no currency, no such wallet
  local w = {tenant = tenant, name = name}
  if packed then
    w.currency, w.bu, w.bn, w.fu, w.fn, w.n, w.holds, w.version = struct.unpack(WALLET, packed)
    w.pool_covers, w.pooled, w.holds = w.holds >= POOL_COVERS, w.holds >= POOLED, w.holds % POOLED
    if #packed > WALLET_BYTES then w.lu, w.ln = struct.unpack(LOW, packed, WALLET_BYTES + 1) end
    w.is_low = is_low(w)
  end
  return w
end

local function pack_wallet(w)
  local holds = w.holds + (w.pooled and POOLED or 0) + (w.pooled and w.pool_covers and POOL_COVERS or 0)
  local packed = struct.pack(WALLET, w.currency, w.bu, w.bn, w.fu, w.fn, w.n, holds, w.version)
  return w.lu and packed .. struct.pack(LOW, w.lu, w.ln) or packed
end

-- A member: assignment version, holds, status_version, active (1/0); then what its writers rate upon (`upon`): how many
-- steps its subscription has had (4 bytes), whether an allowance covers it (1), and counters, which only they read.
-- Assigned 0: never a member.
local MEMBER, MEMBER_BYTES, HOLDS_AT, COVERED_AT, TERMS_BYTES = '<I4BI4B', 10, 5, 5, 5

local NO_TERMS = '\0\0\0\0\0'
local function terms_of(upon) return upon == '' and NO_TERMS or string.sub(upon, 1, TERMS_BYTES) end

local function set_upon(m, upon)
  m.upon, m.covered = upon, string.byte(upon, COVERED_AT) == 1
end

local function read_member(subscriber, packed)
  local m = {subscriber = subscriber, assigned = 0, holds = 0, version = 0, active = 0}
  if packed then m.assigned, m.holds, m.version, m.active = struct.unpack(MEMBER, packed) end
  set_upon(m, packed and string.sub(packed, MEMBER_BYTES + 1) or '')
  return m
end

local function pack_member(m)
  return struct.pack(MEMBER, m.assigned, m.holds, m.version, m.active) .. m.upon
end

function Call:load_wallets(pairs_of_names)  -- {{tenant, name}, ...} -> {wallet, ...}
  local keys, wallets = {}, {}
  for i, w in ipairs(pairs_of_names) do keys[i] = wallet_key(self.tag, w[1], w[2]) end
  for i, packed in ipairs(fetch('MGET', nil, keys)) do
    wallets[i] = read_wallet(pairs_of_names[i][1], pairs_of_names[i][2], packed)
    self.wallets[keys[i]] = wallets[i]
  end
  return wallets
end

function Call:load_members(wanted)  -- {{wallet, subscriber}, ...} -> {member, ...}, each read once
  local keys, members, missing = {}, {}, {}
  for i, m in ipairs(wanted) do
    keys[i] = member_key(self.tag, m[1].tenant, m[1].name, m[2])
    if not self.members[keys[i]] then missing[#missing + 1] = i end
  end
  local missing_keys = {}
  for j, i in ipairs(missing) do missing_keys[j] = keys[i] end
  for j, packed in ipairs(fetch('MGET', nil, missing_keys)) do
    local i = missing[j]
    self.members[keys[i]] = read_member(wanted[i][2], packed)
  end
  for i, key in ipairs(keys) do members[i] = self.members[key] end
  return members
end

function Call:load_sessions(fields)
  local wanted = {}
  for _, field in ipairs(fields) do
    if not self.sessions[field] then
      self.sessions[field] = {value = '0'}
      wanted[#wanted + 1] = field
    end
  end
  for generation = self.generation, self.oldest, -1 do
    if #wanted == 0 then return end
    local found, missing = fetch('HMGET', self.tag .. ':x:' .. generation, wanted), {}
    for i, field in ipairs(wanted) do
      if found[i] then self.sessions[field].value = found[i] else missing[#missing + 1] = field end
    end
    wanted = missing
  end
end

function Call:remembered(key, wanted, known, is_last)  -- adds what a key knows to {identity = verdict}; answers the rest
  local found, rest = fetch('HMGET', key, wanted), not is_last and {}
  for i = 1, #wanted do
    local packed = found[i]
    if packed then known[wanted[i]] = packed elseif rest then rest[#rest + 1] = wanted[i] end
  end
  return rest
end

function Call:remembered_usage(wanted)
  local known = {}
  for generation = self.generation, self.oldest, -1 do
    wanted = self:remembered(self.tag .. ':v:' .. generation, wanted, known, generation == self.oldest)
  end
  return known
end

function Call:save()  -- answers what it tells of the outbox, 0 where that is nothing
  local states = self.states
  for key, w in pairs(self.wallets) do
    if w.dirty then
      states[#states + 1] = key
      states[#states + 1] = pack_wallet(w)
    end
  end
  for key, m in pairs(self.members) do
    if m.dirty then states[#states + 1] = key; states[#states + 1] = pack_member(m) end
  end
  chunked(states, 'MSET')
  for _, change in ipairs(self.listed) do redis.call(unpack(change)) end
  local sessions = {}
  for field, s in pairs(self.sessions) do
    if s.dirty then sessions[#sessions + 1] = field; sessions[#sessions + 1] = s.value end
  end
  chunked(sessions, 'HSET', self.tag .. ':x:' .. self.generation)
  chunked(self.verdicts, 'HSET', self.tag .. ':v:' .. self.generation)
  chunked(self.kept, 'HSET', self.tag .. ':k')
  chunked(self.pending, 'RPUSH', self.tag .. ':f')
  return self:tell()
end

-- How many wallets' members are still to follow, the newest entry that stood there before, then id and entry by turns.
function Call:tell()
  if #self.outbox + #self.pending == 0 then return 0 end
  local key, told = self.tag .. ':o', {#self.pending}
  local newest = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  told[2] = newest and newest[1] or ''
  for _, entry in ipairs(self.outbox) do
    local packed = type(entry) == 'string' and entry or cmsgpack.pack(entry)
    told[#told + 1] = redis.call('XADD', key, '*', 'e', packed)
    told[#told + 1] = packed
  end
  return told
end
