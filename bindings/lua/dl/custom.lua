-- dl.layers.Layer: layers written in Lua.
--
--   local Scale = dl.layers.Layer:extend("Scale", {
--     build = function(self, input_shape)
--       self.factor = self:add_weight{ name = "factor", shape = { input_shape[#input_shape] }, initializer = "ones" }
--     end,
--     call = function(self, x, options) return x * self.factor end,
--   })
--   model:add(Scale{ name = "scale" })
--
-- A cell for an RNN has a field state_size, a number or a list, and its call gets { x, state, ... } and returns
-- { output, new state, ... }. supports_masking = true passes a mask on; options.mask is what came in.
--
-- Options of the constructor become fields of self; get_config says which of them are saved (all, unless it is given).

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local base = { class_name = "Layer" }

--- Shown by default in the configuration: the constructor's options.
function base.get_config(self)
  local config = {}
  for name, value in pairs(self.options or {}) do config[name] = value end
  return config
end

local function saved(value, depth)
  local kind = type(value)
  if kind == "number" or kind == "string" or kind == "boolean" then return value end
  if kind ~= "table" or depth > 20 then return nil end
  local copy = {}
  for key, entry in pairs(value) do copy[key] = saved(entry, depth + 1) end
  return copy
end

local function construct(class, ...)
  local options = ...
  if options ~= nil and type(options) ~= "table" then
    fail("ARGUMENT", ("%s takes a table of options, got %s"):format(class.class_name, kind_of(options)))
  end
  options = options or {}
  local fields = setmetatable({ options = options }, { __index = class })
  for name, value in pairs(options) do
    if name ~= "name" and name ~= "trainable" then fields[name] = value end
  end
  if class.init then class.init(fields, options) end
  local given = class.get_config(fields)
  if type(given) ~= "table" then
    fail("ARGUMENT", ("get_config of %s must return a table, got %s"):format(class.class_name, kind_of(given)))
  end
  local config = saved(given, 0)
  config.name = options.name
  -- What the library asks of a layer in Lua: whether it passes masks on, and as a cell of an RNN how large its state is.
  for _, name in ipairs{ "supports_masking", "state_size", "output_size" } do
    if config[name] == nil then config[name] = saved(fields[name], 0) end
  end
  local layer = core.layer_custom(class.class_name, config, fields)
  if options.trainable == false then core.layer_set_trainable(layer, false) end
  return layer
end

local function extend(parent, name, members)
  if type(name) ~= "string" or not name:match "^[%a_][%w_]*$" then
    fail("ARGUMENT", "Layer:extend(name, members): name must be an identifier, got " .. kind_of(name))
  end
  if type(members) ~= "table" then
    fail("ARGUMENT", "Layer:extend(name, members): members must be a table, got " .. kind_of(members))
  end
  for member, value in pairs(members) do
    if (member == "call" or member == "build" or member == "init" or member == "get_config") and type(value) ~= "function" then
      fail("ARGUMENT", ("'%s' of %s must be a function, got %s"):format(member, name, kind_of(value)))
    end
  end
  if not members.call and not parent.call then
    fail("ARGUMENT", ("%s needs a function 'call'"):format(name))
  end
  local class = members
  class.class_name = name
  class.extend = extend
  setmetatable(class, {
    __index = parent,
    __call = construct,
    __tostring = function() return "layer class " .. name end,
  })
  -- How models that are loaded make it.
  core.layer_register(name, function(config) return construct(class, config) end)
  return class
end

base.extend = extend

return setmetatable(base, {
  __call = function() fail("ARGUMENT", "dl.layers.Layer is derived from: Layer:extend(\"Name\", { call = ... })") end,
  __tostring = function() return "dl.layers.Layer" end,
})
