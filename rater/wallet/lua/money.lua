-- Money is two exact parts, units (signed) and nanos (0..999999999): a Lua number is a double, exact to 2^53 only,
-- which in nanos is nine million units.

local E9 = 1000000000

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
