-- dl.optimizers: optimizer objects, for compile and for loops of one's own.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local fail, kind_of = core.fail, arguments.kind_of

local class = core.class "dl.Optimizer"

--- One update: optimizer:apply(gradients, variables). A gradient that is false leaves its variable as it is.
function class.methods.apply(optimizer, gradients, variables)
  arguments.self(optimizer, "dl.Optimizer", "apply")
  if core.kind(gradients) == "dl.Tensor" then gradients = { gradients } end
  if core.kind(variables) == "dl.Tensor" then variables = { variables } end
  if type(gradients) ~= "table" or type(variables) ~= "table" then
    fail("ARGUMENT", ("optimizer:apply(gradients, variables) takes two lists, got %s and %s"):format(kind_of(gradients),
      kind_of(variables)))
  end
  local names = arguments.keys(variables)
  if #names > 0 then
    local lists = { {}, {} }
    for place, name in ipairs(names) do
      lists[1][place], lists[2][place] = gradients[name] or false, variables[name]
    end
    gradients, variables = lists[1], lists[2]
  end
  core.optimizer_apply(optimizer, gradients, variables)
end

class.methods.apply_gradients = class.methods.apply
function class.methods.get_config(optimizer) return core.decode(core.optimizer_to_json(optimizer)).config end
function class.methods.to_json(optimizer) return core.optimizer_to_json(optimizer) end

class.getters.iterations = core.optimizer_iterations
function class.getters.learning_rate(optimizer) return core.optimizer_rate(optimizer) end

function class.setters.learning_rate(optimizer, rate)
  if type(rate) ~= "number" then fail("ARGUMENT", "learning_rate must be a number, got " .. kind_of(rate)) end
  core.optimizer_rate(optimizer, rate)
end

function class.tostring(optimizer)
  local json = core.decode(core.optimizer_to_json(optimizer))
  return ("%s %s"):format(json.class_name, core.encode(json.config))
end

return declared.namespace("dl.optimizers", "optimizer", function(declaration, name)
  return declared.constructor("dl.optimizers", declaration, function(...)
    local positions, given = declared.sort(declaration, ...)
    return core.optimizer(name, declared.configure(declaration, name, positions, given))
  end)
end)
