-- The declarations: every entry says what it is, and its example runs.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local examples = require "dl.examples"
local test = T.test

local categories = {}
for place, category in ipairs(require "dl.doc".categories) do
  if pcall(dl.list, category[1]) then categories[place] = category[1] end
end

-- A script with a print of its own, so that what examples say does not end up between the results.
local function run(source, name)
  local printed = {}
  local function keep(...)
    for _, value in ipairs(table.pack(...)) do printed[#printed + 1] = tostring(value) end
  end
  local chunk, message = load(source, "=" .. name, "t", setmetatable({ print = keep }, { __index = _G }))
  assert(chunk, message)
  chunk()
  return printed
end

for _, category in pairs(categories) do
  for _, name in ipairs(dl.list(category)) do
    local declaration = assert(dl.describe(category, name))
    test(category .. " " .. name .. " is described", function()
      assert(declaration.name == name, "the name is " .. tostring(declaration.name))
      assert(declaration.summary:match "^%S.+%.$", "no sentence: " .. declaration.summary)
      local seen = {}
      for _, argument in ipairs(declaration.arguments) do
        assert(not seen[argument.name], "twice: " .. argument.name)
        seen[argument.name] = true
        assert(argument.doc and #argument.doc > 0, "nothing is said about " .. argument.name)
        assert(argument.expected and #argument.expected > 0, "nothing is said about what may be given for " .. argument.name)
      end
    end)
    -- Large networks have a test of their own.
    if not declaration.internal and category ~= "application" then
      test("the example of " .. category .. " " .. name, function()
        local example = examples.of(declaration)
        assert(example and #example > 0, "it has none")
        assert(#run(example, name) > 0, "it prints nothing")
      end)
    end
  end
end

T.finish()
