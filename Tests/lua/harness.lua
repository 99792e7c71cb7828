-- A test is a function; what it raises is a failure.

local T = { passed = 0, failed = 0, collecting = false }

local function show(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "table" and getmetatable(value) == nil then
    local parts = {}
    for key, entry in pairs(value) do parts[#parts + 1] = ("[%s] = %s"):format(show(key), show(entry)) end
    return "{ " .. table.concat(parts, ", ") .. " }"
  end
  return tostring(value)
end

local function same(a, b)
  if type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

function T.test(name, f)
  local fine, message = xpcall(f, debug.traceback)
  if fine then
    T.passed = T.passed + 1
  else
    T.failed = T.failed + 1
    io.stderr:write(("FAIL %s\n  %s\n"):format(name, (tostring(message):gsub("\n", "\n  "))))
  end
end

--- Equal values; tables entry by entry.
function T.equal(got, expected, what)
  if not same(got, expected) then
    error(("%sexpected %s, got %s"):format(what and what .. ": " or "", show(expected), show(got)), 2)
  end
end

local function near(a, b, tolerance)
  if type(a) == "table" and type(b) == "table" then
    if #a ~= #b then return false end
    for place = 1, #a do
      if not near(a[place], b[place], tolerance) then return false end
    end
    return true
  end
  if type(a) ~= "number" or type(b) ~= "number" then return a == b end
  return a == b or math.abs(a - b) <= tolerance * math.max(1, math.abs(b))
end

--- Numbers, or nested tables of them, that agree within a tolerance.
function T.near(got, expected, tolerance)
  if not near(got, expected, tolerance or 1e-5) then error(("expected %s, got %s"):format(show(expected), show(got)), 2) end
end

--- The message that a call raises, which must contain every pattern (plain text).
function T.raises(patterns, f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then error(("expected an error, got %s"):format(show(results[2])), 2) end
  local message = results[2]
  if type(message) ~= "string" then error("the error is no text: " .. show(message), 2) end
  for _, pattern in ipairs(type(patterns) == "table" and patterns or { patterns }) do
    if not message:find(pattern, 1, true) then
      error(("the message lacks %q: %s"):format(pattern, message), 2)
    end
  end
  return message
end

--- A name for a file that does not exist yet.
function T.temporary(suffix)
  local name = os.tmpname()
  os.remove(name)
  return name .. (suffix or "")
end

function T.write(name, bytes)
  local file = assert(io.open(name, "wb"))
  file:write(bytes)
  file:close()
end

function T.read(name)
  local file = assert(io.open(name, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Ends a file of tests.
function T.finish()
  if T.collecting then return end
  print(("%d passed, %d failed"):format(T.passed, T.failed))
  os.exit(T.failed == 0 and T.passed > 0, true)
end

return T
