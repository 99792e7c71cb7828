-- dl.optimizers: optimizer objects, for compile and for loops of one's own.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
core.use "options"
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

-- ---- Schedules -------------------------------------------------------------------------------------------------

--- Learning rates written in Lua, as a class: LearningRateSchedule:extend("Warmup", { call = function(self, step) ... end })
-- Steps are updates so far: 0 for the first.
local base = { class_name = "LearningRateSchedule" }

local function is_schedule(value)
  local metatable = type(value) == "table" and getmetatable(value)
  return metatable and metatable.dl_schedule
end

local function construct(schedule, options)
  if options ~= nil and type(options) ~= "table" then
    fail("ARGUMENT", ("%s takes a table of options, got %s"):format(schedule.class_name, kind_of(options)))
  end
  local self = {}
  for key, value in pairs(options or {}) do self[key] = value end
  setmetatable(self, {
    __index = schedule, dl_schedule = true,
    __call = function(_, step) return schedule.call(self, step) end,
    __tostring = function() return "learning-rate schedule " .. schedule.class_name end,
  })
  if schedule.init then schedule.init(self, options or {}) end
  return self
end

function base.extend(parent, name, members)
  if type(name) ~= "string" or type(members) ~= "table" or type(members.call or parent.call) ~= "function" then
    fail("ARGUMENT", "LearningRateSchedule:extend(name, members) takes a name and a table with a function 'call'")
  end
  members.class_name = name
  return setmetatable(members, {
    __index = parent,
    __call = construct,
    __tostring = function() return "schedule class " .. name end,
  })
end

local schedules = declared.configs("dl.optimizers.schedules", "schedule", {
  LearningRateSchedule = setmetatable(base, {
    __call = function()
      fail("ARGUMENT", "LearningRateSchedule is derived from: LearningRateSchedule:extend(\"Name\", { call = ... })")
    end,
    __tostring = function() return "dl.optimizers.schedules.LearningRateSchedule" end,
  }),
})

-- Takes a schedule written in Lua out of the arguments, for the library gets it as a function.
local function own_schedule(positions, options)
  local given = positions[1]
  if given == nil then given = options.learning_rate end
  if type(given) ~= "function" and not is_schedule(given) then return positions, options, nil end
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

return declared.reading("dl.optimizers", declared.namespace("dl.optimizers", "optimizer", function(declaration, name)
  return declared.constructor("dl.optimizers", declaration, function(...)
    local positions, given = declared.sort(declaration, ...)
    local schedule
    positions, given, schedule = own_schedule(positions, given)
    local optimizer = core.optimizer(name, declared.configure(declaration, name, positions, given))
    if schedule then core.optimizer_schedule(optimizer, schedule) end
    return optimizer
  end, function(config) return make(name, config) end)
end, { schedules = schedules }), make)
