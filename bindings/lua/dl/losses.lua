-- dl.losses: loss objects, called as loss(y_true, y_pred, sample_weight).

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local tensor = core.use "tensor"
local fail, kind_of = core.fail, arguments.kind_of

core.metamethod("dl.Loss", "__call", function(loss, y_true, y_pred, sample_weight)
  if y_pred == nil then fail("ARGUMENT", "a loss is called as loss(y_true, y_pred)") end
  return core.loss_call(loss, tensor.from(y_true, "y_true"), tensor.from(y_pred, "y_pred"), sample_weight)
end)

local losses = {}

--- Labels count from 1 in Lua, unless a script says otherwise.
function losses.with_label_base(declaration, config)
  if declaration.places.label_base and config.label_base == nil then config.label_base = 1 end
  return config
end

local space = declared.namespace("dl.losses", "loss", function(declaration, name)
  return declared.constructor("dl.losses", declaration, function(...)
    local positions, options = declared.sort(declaration, ...)
    return core.loss(name, losses.with_label_base(declaration, declared.configure(declaration, name, positions, options)))
  end)
end, {
  --- A loss written in Lua: custom(function(y_true, y_pred) return (y_true - y_pred):abs() end, "name")
  custom = function(f, name)
    if type(f) ~= "function" then fail("ARGUMENT", "a loss must be a function, got " .. kind_of(f)) end
    return core.loss_custom(name or "custom_loss", f)
  end,
})

core.losses = losses
return space
