-- dl.losses: loss objects, called as loss(y_true, y_pred, sample_weight).

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local tensor = core.use "tensor"
local objects = core.use "objects"
local fail, kind_of = core.fail, arguments.kind_of

core.metamethod("dl.Loss", "__call", function(loss, y_true, y_pred, sample_weight)
  if y_pred == nil then fail("ARGUMENT", "a loss is called as loss(y_true, y_pred)") end
  return core.loss_call(loss, tensor.from(y_true, "y_true"), tensor.from(y_pred, "y_pred"), sample_weight)
end)

local losses = {}

-- Losses and metrics whose labels count from 1 only because their script did not say: compile's label_base holds for them.
local unsaid = setmetatable({}, { __mode = "k" })

--- Lets an object that compile gets count labels as compile says.
function losses.follow_label_base(object, base)
  if unsaid[object] then core.label_base(object, base) end
end

function losses.note(object, declaration, given)
  if declaration.places.label_base and given.label_base == nil then unsaid[object] = true end
  return object
end

--- Labels count from 1 in Lua, unless a script says otherwise.
function losses.with_label_base(declaration, config)
  if declaration.places.label_base and config.label_base == nil then config.label_base = 1 end
  return config
end

-- Keras's configuration does not say what labels count from.
local function make(name, config)
  local declaration = declared.describe("loss", name)
  local given = { label_base = config.label_base }
  if not declaration then return core.loss(name, config) end
  return losses.note(core.loss(name, losses.with_label_base(declaration, config)), declaration, given)
end

--- The configuration of a loss or metric in Keras's form. What labels count from is part of it where a script has said it.
function losses.to_json(object)
  local json = core.objective_to_json(object)
  if not unsaid[object] then return json end
  json = core.decode(json)
  json.config.label_base = nil
  return core.encode(json)
end

local methods = core.class("dl.Loss").methods
methods.to_json = losses.to_json
function methods.get_config(loss) return core.decode(losses.to_json(loss)).config end

local space = declared.namespace("dl.losses", "loss", function(declaration, name, requested)
  local function create(...)
    local positions, options = declared.sort(declaration, ...)
    local config = declared.configure(declaration, name, positions, options)
    local given = { label_base = config.label_base }
    return losses.note(core.loss(name, losses.with_label_base(declaration, config)), declaration, given)
  end
  if requested == name then
    return declared.constructor("dl.losses", declaration, create, function(config) return make(name, config) end)
  end
  -- Keras's functions: mean_squared_error(y_true, y_pred, { ... }) gives the loss of each sample.
  return setmetatable({ loss_name = requested, name = name, category = "loss" }, {
    __call = function(_, y_true, y_pred, options)
      if y_pred == nil then return create(y_true) end
      local config = {}
      for key, value in pairs(options or {}) do config[key] = value end
      config.reduction = "none"
      return create(config)(y_true, y_pred)
    end,
    __tostring = function() return "dl.losses." .. requested end,
    __index = { declaration = declaration },
  })
end, {
  --- A loss written in Lua: custom(function(y_true, y_pred) return (y_true - y_pred):abs() end, "name")
  custom = function(f, name)
    if type(f) ~= "function" then fail("ARGUMENT", "a loss must be a function, got " .. kind_of(f)) end
    return core.loss_custom(name or "custom_loss", f)
  end,
  Loss = objects.loss(),
})


core.losses = losses
return objects.name(declared.reading("dl.losses", space, make), "dl.losses", "loss")
