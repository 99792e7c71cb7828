-- dl.applications: networks from the literature, ready to train, out of their declarations.

local core = ...
local declared = core.use "declared"
core.use "models"
local fail = core.fail

-- ResNet50{ classes = 10, input_shape = {64, 64, 3} }
return declared.namespace("dl.applications", "application", function(declaration, name)
  return declared.constructor("dl.applications", declaration, function(...)
    local positions, options = declared.sort(declaration, ...)
    local config = declared.configure(declaration, name, positions, options)
    local path = config.weights
    config.weights = nil
    local model = core.application(name, config)
    if type(path) == "string" then
      local done, message = core.model_load_weights(model, path)
      if not done then fail("ARGUMENT", ("weights of %s: %s"):format(name, message)) end
    end
    return model
  end)
end)
