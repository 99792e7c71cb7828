-- dl.optimizers: optimizer objects, for compile and for loops of one's own.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
core.use "options"
local objects = core.use "objects"
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

--- Weight decay leaves these variables alone, and those whose names contain one of the texts; before the first update:
-- optimizer:exclude_from_weight_decay{ var_list = { v }, var_names = { "bias" } }
function class.methods.exclude_from_weight_decay(optimizer, options)
  arguments.self(optimizer, "dl.Optimizer", "exclude_from_weight_decay")
  options = arguments.options("exclude_from_weight_decay", options, { var_list = "table", var_names = "table" })
  for _, name in ipairs(options.var_names or {}) do
    if type(name) ~= "string" then
      fail("ARGUMENT", "var_names of exclude_from_weight_decay must be texts, got " .. kind_of(name))
    end
  end
  core.optimizer_exclude(optimizer, options.var_list or {}, core.array(options.var_names or {}))
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

-- ---- Schedules -------------------------------------------------------------------------------------------------

-- Learning rates written in Lua, as a class: LearningRateSchedule:extend("Warmup", { call = function(self, step) ... end })
-- Steps are updates so far: 0 for the first.
local schedules = declared.configs("dl.optimizers.schedules", "schedule", { LearningRateSchedule = objects.schedule() })
objects.name(schedules, "dl.optimizers.schedules", "schedule")

-- Takes a schedule written in Lua out of the arguments, for the library gets it as a function.
local function own_schedule(positions, options)
  local given = positions[1]
  if given == nil then given = options.learning_rate end
  if type(given) ~= "function" then return positions, options, nil end
  if positions[1] ~= nil then
    positions = table.move(positions, 1, #positions, 1, {})
    positions[1] = 0.0
  else
    local rest = {}
    for key, value in pairs(options) do rest[key] = value end
    rest.learning_rate = nil
    options = rest
  end
  return positions, options, function(step) return given(step) end
end

local function make(name, config) return core.optimizer(name, config) end

local space = declared.namespace("dl.optimizers", "optimizer", function(declaration, name)
  return declared.constructor("dl.optimizers", declaration, function(...)
    local positions, given = declared.sort(declaration, ...)
    local schedule
    positions, given, schedule = own_schedule(positions, given)
    local optimizer = core.optimizer(name, declared.configure(declaration, name, positions, given))
    if schedule then core.optimizer_schedule(optimizer, schedule) end
    return optimizer
  end, function(config) return make(name, config) end)
end, { schedules = schedules, Optimizer = objects.optimizer() })

return objects.name(declared.reading("dl.optimizers", space, make), "dl.optimizers", "optimizer")
