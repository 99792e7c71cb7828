-- dl.cli: options of a script from the command line, typed by their defaults.
--
--   local opt = dl.cli{ epochs = 5, lr = 1e-3, quick = false, out = "m.dlm" }
--
-- --epochs 10, --epochs=10, --quick, --no-quick, --help. What is left over stands in opt[1], opt[2], ...

local core = ...
local arguments = core.use "arguments"
local fail = core.fail

local function usage(script, names, defaults, help)
  local lines = { ("usage: %s [options]"):format(script or "script") }
  for _, name in ipairs(names) do
    local default = defaults[name]
    local form = type(default) == "boolean" and ("--[no-]%s"):format(name) or ("--%s %s"):format(name, type(default))
    lines[#lines + 1] = ("  %-24s %s(default: %s)"):format(form, help[name] and help[name] .. " " or "", tostring(default))
  end
  return table.concat(lines, "\n")
end

local function convert(name, text, default)
  if type(default) == "number" then
    local value = tonumber(text)
    if not value or math.type(default) == "integer" and not math.tointeger(value) then
      fail("ARGUMENT", ("--%s takes a %s, got '%s'"):format(name, math.type(default) == "integer" and "whole number"
        or "number", text))
    end
    return math.type(default) == "integer" and math.tointeger(value) or value
  end
  return text
end

--- cli(defaults, { args = arg, help = { name = "what it is for" } }) -> options
return function(defaults, settings)
  if type(defaults) ~= "table" then fail("ARGUMENT", "dl.cli takes a table of defaults") end
  settings = arguments.options("dl.cli", settings, { args = "table", help = "table" })
  local given, names, result = settings.args or rawget(_G, "arg") or {}, arguments.keys(defaults), {}
  for name, value in pairs(defaults) do result[name] = value end
  local place, rest = 1, 0
  while place <= #given do
    local word = given[place]
    place = place + 1
    local name, text = word:match "^%-%-([%w_-]+)=(.*)$"
    name = name or word:match "^%-%-([%w_-]+)$"
    if word == "--help" or word == "-h" then
      print(usage(rawget(_G, "arg") and arg[0], names, defaults, settings.help or {}))
      -- A script that is asked for help does nothing else.
      if os and os.exit then os.exit(0, true) end
      fail("ARGUMENT", "--help was asked for")
    elseif not name then
      rest = rest + 1
      result[rest] = word
    else
      name = name:gsub("-", "_")
      local plain = name:match "^no_(.+)$"
      if type(defaults[name]) == "boolean" then
        result[name] = text == nil or text == "true" or text == "1"
      elseif plain and type(defaults[plain]) == "boolean" and text == nil then
        result[plain] = false
      elseif defaults[name] == nil then
        fail("ARGUMENT", ("unknown option --%s%s"):format(name, arguments.suggestion(name, names)))
      else
        if text == nil then
          text = given[place]
          place = place + 1
          if text == nil then fail("ARGUMENT", ("--%s needs a value"):format(name)) end
        end
        result[name] = convert(name, text, defaults[name])
      end
    end
  end
  return result
end
