-- The annotations for editors: they are Lua, and every public name is in them.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local doc = require "dl.doc"
local test = T.test

local root = arg[0]:match "^(.*)/Tests/lua/" or "."
local path = os.tmpname()
local environment = setmetatable({ arg = { path, root .. "/bindings/lua/dl" } }, { __index = _G })
assert(loadfile(root .. "/scripts/annotations.lua", "t", environment))()
local file = assert(io.open(path))
local text = file:read "a"
file:close()
os.remove(path)
local annotated

test("they are Lua that runs", function()
  annotated = assert(load(text, "=annotations", "t"))()
  assert(type(annotated) == "table")
end)

test("every name of every module is there", function()
  for _, module in ipairs{ "layers", "ops", "losses", "metrics", "optimizers", "callbacks", "initializers", "regularizers",
    "constraints", "activations", "datasets", "applications", "models", "utils", "random", "config", "saving" } do
    assert(type(annotated[module]) == "table", module)
    for name, value in pairs(dl[module]) do
      local internal = module == "ops" and (dl.describe("operation", name) or {}).internal
      if not internal and (type(value) == "function" or getmetatable(value)) then
        assert(annotated[module][name], ("dl.%s.%s has no annotation"):format(module, name))
      end
    end
  end
  for name, value in pairs(dl) do
    if type(value) == "function" and name ~= "None" then assert(annotated[name], "dl." .. name .. " has no annotation") end
  end
end)

test("every option has a type and a text", function()
  for _, category in ipairs(doc.categories) do
    for _, declaration in ipairs(doc.entries(category[1])) do
      if #declaration.arguments > 0 and category[1] ~= "activation" then
        local class = ("---@class dl.%s.%s.options\n"):format(category[2], declaration.name)
        local from, to = text:find(class, 1, true)
        assert(from, "no " .. class)
        local fields = text:match("^(.-)\n\n", to + 1)
        for _, argument in ipairs(declaration.arguments) do
          local line = ("\n" .. fields):match("\n(%-%-%-@field " .. argument.name .. "%??[ ][^\n]+)")
          assert(line and #line > #argument.name + 14, declaration.name .. "." .. argument.name)
        end
      end
    end
  end
end)

test("methods are there", function()
  for _, name in ipairs{ "Tensor:sum", "Tensor:reshape", "Tensor:totable", "Model:fit", "Model:compile",
    "Model:summary", "Layer:get_weights", "Layer:build", "Metric:result", "Optimizer:apply", "Tape:gradient" } do
    assert(text:find(("function %s("):format(name), 1, true), name)
  end
end)

T.finish()
