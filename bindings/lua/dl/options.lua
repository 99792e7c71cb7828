-- Initializers, regularizers, constraints and activations: values for options of layers and optimizers.

local core = ...
local declared = core.use "declared"
local objects = core.use "objects"

-- A schedule can be called with a step: dl.optimizers.schedules.CosineDecay(0.1, 100)(50).
-- An initializer can be called with a shape: dl.initializers.HeNormal{ seed = 1 }({ 3, 4 })
core.config_call = function(config, shape, dtype)
  if config.category == "schedule" then
    local step = math.tointeger(shape)
    if not step or step < 0 then
      core.fail("ARGUMENT", ("%s takes the number of updates so far, got %s"):format(config.class_name, tostring(shape)))
    end
    return core.schedule_rate({ class_name = config.class_name, config = config.config }, step)
  end
  if config.category == "regularizer" or config.category == "constraint" then
    return core.object_apply(config.category, { class_name = config.class_name, config = config.config }, shape)
  end
  if config.category ~= "initializer" then
    core.fail("ARGUMENT", ("a %s cannot be called"):format(tostring(config.category)))
  end
  return core.initialize({ class_name = config.class_name, config = config.config }, shape, dtype)
end

local options = {
  initializers = declared.configs("dl.initializers", "initializer", { Initializer = objects.initializer() }),
  regularizers = declared.configs("dl.regularizers", "regularizer", {
    Regularizer = objects.configuration("dl.regularizers", "Regularizer", "regularizer"),
  }),
  constraints = declared.configs("dl.constraints", "constraint", {
    Constraint = objects.configuration("dl.constraints", "Constraint", "constraint"),
  }),
}

-- dl.activations.relu is the function, and stands for its name where an option wants one.
options.activations = declared.namespace("dl.activations", "activation", function(_, name)
  local layer
  return setmetatable({ activation_name = name }, {
    __call = function(_, x)
      if not layer then layer = core.layer_create("Activation", { activation = name }) end
      return core.layer_call(layer, { x })
    end,
    __tostring = function() return "dl.activations." .. name end,
  })
end, {})

for name, category in pairs{ initializers = "initializer", regularizers = "regularizer", constraints = "constraint",
  activations = "activation" } do
  objects.name(options[name], "dl." .. name, category)
end

return options
