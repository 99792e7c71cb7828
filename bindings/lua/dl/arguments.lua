-- Checks of what scripts hand in: option names, kinds of values, the nearest name for a wrong one.

local core = ...
local fail = core.fail

local arguments = {}

-- Edits (insert, delete, replace, swap neighbours) between two words; for suggestions, so short words only.
local function distance(a, b)
  local above, last, row = {}, nil, {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    above, last, row = last or above, row, {}
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local best = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        best = math.min(best, above[j - 2] + 1)
      end
      row[j] = best
    end
    if i == 1 then above = last end
  end
  return row[#b]
end

--- The name in a list that is nearest to a word, or nil where none is near.
function arguments.nearest(word, names)
  if type(word) ~= "string" or #word > 64 then return nil end
  local lower, best, least = word:lower(), nil, math.max(2, #word // 3) + 1
  for _, name in ipairs(names) do
    local d = distance(lower, name:lower())
    if d < least then best, least = name, d end
  end
  return best
end

--- "; did you mean 'units'?", or "".
function arguments.suggestion(word, names)
  local near = arguments.nearest(word, names)
  return near and ("; did you mean '%s'?"):format(near) or ""
end

--- What a value is, for messages: "a table", "'relu'", "3", "a dl.Tensor".
function arguments.kind_of(value)
  local kind = type(value)
  if kind == "string" then return ("'%s'"):format(#value > 60 and value:sub(1, 57) .. "..." or value) end
  if kind == "number" or kind == "boolean" or kind == "nil" then return tostring(value) end
  return "a " .. (core.kind(value) or kind)
end

function arguments.keys(t)
  local keys = {}
  for key in pairs(t) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  return keys
end

local tests = {
  boolean = function(v) return type(v) == "boolean" end,
  number = function(v) return type(v) == "number" end,
  integer = function(v) return math.type(v) == "integer" or math.type(v) == "float" and math.tointeger(v) ~= nil end,
  string = function(v) return type(v) == "string" end,
  table = function(v) return type(v) == "table" end,
  ["function"] = function(v) return type(v) == "function" end,
  tensor = function(v) return core.kind(v) == "dl.Tensor" end,
  any = function() return true end,
}

local words = {
  boolean = "true or false", number = "a number", integer = "a whole number", string = "text", table = "a table",
  ["function"] = "a function", tensor = "a tensor",
}

--- Checks a table of options against {name = "kind"} or {name = "kind|kind"}; positions are left to the caller.
-- Returns the options, {} for nil.
function arguments.options(owner, given, allowed)
  if given == nil then return {} end
  if type(given) ~= "table" then
    fail("ARGUMENT", ("%s: options must be a table, got %s"):format(owner, arguments.kind_of(given)))
  end
  for key, value in pairs(given) do
    if type(key) == "string" then
      local kinds = allowed[key]
      if not kinds then
        fail("ARGUMENT", ("unknown option '%s' for %s%s"):format(key, owner,
          arguments.suggestion(key, arguments.keys(allowed))))
      end
      local fits, expected = false, {}
      for kind in kinds:gmatch "[^|]+" do
        fits = fits or tests[kind](value)
        expected[#expected + 1] = words[kind]
      end
      if not fits then
        fail("ARGUMENT", ("option '%s' of %s must be %s, got %s"):format(key, owner, table.concat(expected, " or "),
          arguments.kind_of(value)))
      end
      if kinds == "integer" then given[key] = math.tointeger(value) end
    end
  end
  return given
end

--- Refuses a method that was called with a dot: model.fit(x, y).
function arguments.self(value, kind, name)
  if core.kind(value) ~= kind then
    local short = kind:match "%.(%a+)$":lower()
    fail("ARGUMENT", ("expected a %s, got %s; did you mean %s:%s(...)?"):format(kind, arguments.kind_of(value), short, name))
  end
end

return arguments
