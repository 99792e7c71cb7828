-- Data sets that give their data batch by batch: dl.utils.PyDataset, and what fit, evaluate and predict do with one.
--
--   local Squares = dl.utils.PyDataset:extend("Squares", {
--     num_batches = function(self) return 10 end,
--     get = function(self, index)                   -- from 1
--       local x = dl.random.uniform({ self.batch_size, 1 }, { seed = index })
--       return x, x * x                             -- and weights of the samples, if there are any
--     end,
--   })
--   model:fit(Squares{ batch_size = 32 }, { epochs = 5 })
--
-- Options of the constructor become fields of self, then init(self, options) is called; on_epoch_begin and on_epoch_end are
-- called by fit.

local core = ...
local arguments = core.use "arguments"
local fail, kind_of = core.fail, arguments.kind_of

local batches = {}
local base = { class_name = "PyDataset" }

--- Whether something is such a data set.
function batches.is(value)
  local class = type(value) == "table" and getmetatable(value)
  return type(class) == "table" and rawget(class, "is_batches") == true
end

--- How many batches there are.
function base:num_batches() fail("ARGUMENT", self.class_name .. " needs a function 'num_batches'") end

--- Batch number `index`, from 1: x, y and weights of the samples.
function base:get() fail("ARGUMENT", self.class_name .. " needs a function 'get'") end

--- for step, x, y, weights in set:batches() do
function base:batches()
  local count, step = batches.count(self), 0
  return function()
    if step >= count then return nil end
    step = step + 1
    return step, self:get(step)
  end
end

--- A data set of what a function makes of each batch: set:map(function(x, y, weights) return x / 255, y end)
function base:map(f)
  if type(f) ~= "function" then fail("ARGUMENT", "map takes a function of a batch, got " .. kind_of(f)) end
  return batches.Mapped{ source = self, f = f, shuffles_itself = self.shuffles_itself, class_names = self.class_names }
end

--- All batches as one: x, y and weights, each a tensor or a list of them.
function base:load()
  local whole = batches.whole(self)
  local function single(list) return list and (#list == 1 and list[1] or list) or nil end
  return single(whole.x), single(whole.y), single(whole.sample_weight)
end

--- The number of batches, checked.
function batches.count(set)
  local count = set:num_batches()
  local whole = type(count) == "number" and math.tointeger(count)
  if not whole or whole < 1 then
    fail("ARGUMENT", ("num_batches of %s must return a whole number above 0, got %s"):format(set.class_name, kind_of(count)))
  end
  return whole
end

local function construct(class, options)
  if options ~= nil and type(options) ~= "table" then
    fail("ARGUMENT", ("%s takes a table of options, got %s"):format(class.class_name, kind_of(options)))
  end
  local set = setmetatable({}, class.instances)
  for name, value in pairs(options or {}) do set[name] = value end
  if class.init then class.init(set, options or {}) end
  return set
end

local function extend(parent, name, members)
  if type(name) ~= "string" or not name:match "^[%a_][%w_]*$" then
    fail("ARGUMENT", "PyDataset:extend(name, members): name must be an identifier, got " .. kind_of(name))
  end
  if type(members) ~= "table" then
    fail("ARGUMENT", "PyDataset:extend(name, members): members must be a table, got " .. kind_of(members))
  end
  local class = setmetatable(members, {
    __index = parent, __call = construct, __tostring = function() return "data set class " .. name end,
  })
  class.class_name, class.extend = name, extend
  class.instances = {
    is_batches = true, __index = class, __name = "dl.PyDataset", __len = batches.count,
    __tostring = function(set) return ("%s of %d batches"):format(name, batches.count(set)) end,
  }
  return class
end

base.extend = extend

--- The class that data sets by batches are derived from.
batches.PyDataset = setmetatable(base, {
  __call = function()
    fail("ARGUMENT", "PyDataset is derived from: PyDataset:extend(\"Name\", { num_batches = ..., get = ... })")
  end,
  __tostring = function() return "dl.utils.PyDataset" end,
})
batches.Sequence = batches.PyDataset

batches.Mapped = base:extend("Mapped", {
  num_batches = function(self) return self.source:num_batches() end,
  get = function(self, index) return self.f(self.source:get(index)) end,
  on_epoch_begin = function(self)
    if self.source.on_epoch_begin then self.source:on_epoch_begin() end
  end,
  on_epoch_end = function(self)
    if self.source.on_epoch_end then self.source:on_epoch_end() end
  end,
})

-- ---- For models --------------------------------------------------------------------------------------------------

-- x, y and weights as lists of tensors.
local function listed(value)
  if value == nil then return nil end
  if core.kind(value) == "dl.Tensor" then return { value } end
  if type(value) ~= "table" then return { value } end
  return value
end

--- One batch as the library takes it.
local function batch(model, set, index)
  local x, y, weights = set:get(index)
  if x == nil then fail("ARGUMENT", ("get(%d) of %s returned no x"):format(index, set.class_name)) end
  return core.use("training").data(model, x, y, weights)
end

--- All batches put together.
function batches.whole(set)
  local parts = {}
  for index = 1, batches.count(set) do
    local x, y, weights = set:get(index)
    local data = { x = listed(x), y = listed(y), sample_weight = listed(weights) }
    for name, list in pairs(data) do
      parts[name] = parts[name] or {}
      for place, t in ipairs(list) do
        if core.kind(t) ~= "dl.Tensor" then
          fail("ARGUMENT", ("get(%d) of %s must return tensors, got %s"):format(index, set.class_name, kind_of(t)))
        end
        parts[name][place] = parts[name][place] or {}
        parts[name][place][index] = t
      end
    end
  end
  local whole = {}
  for name, places in pairs(parts) do
    whole[name] = {}
    for place, tensors in ipairs(places) do
      if #tensors ~= batches.count(set) then
        fail("ARGUMENT", ("%s has '%s' in some batches only"):format(set.class_name, name))
      end
      whole[name][place] = (core.apply("concatenate", tensors, { axis = 0 }))
    end
  end
  return whole
end

--- Loss and metrics over all batches.
function batches.evaluated(set, model)
  local values
  for index = 1, batches.count(set) do values = core.evaluate_batch(model, batch(model, set, index), index == 1) end
  return values
end

--- For fit: a batch to begin a run with, and a function that feeds it all of them.
function batches.validation(set, model, steps)
  return batch(model, set, 1), function(run)
    for index = 1, math.min(batches.count(set), steps or math.maxinteger) do core.fit_feed(run, batch(model, set, index)) end
  end
end

--- A model's outputs for all batches, one tensor for each output.
function batches.predicted(set, model)
  local parts = {}
  for index = 1, batches.count(set) do
    local inputs = batch(model, set, index).x
    for place, output in ipairs{ core.predict(model, inputs, math.max(1, #inputs[1])) } do
      parts[place] = parts[place] or {}
      parts[place][index] = output
    end
  end
  for place, tensors in ipairs(parts) do parts[place] = (core.apply("concatenate", tensors, { axis = 0 })) end
  return table.unpack(parts)
end

--- What fit feeds a run with: data to begin it with, steps of an epoch, and functions of its events.
function batches.feed(model, set, options, y)
  for _, name in ipairs{ "y", "batch_size", "sample_weight", "validation_split" } do
    if options[name] ~= nil or name == "y" and y ~= nil then
      fail("ARGUMENT", ("'%s' and a data set exclude each other; the batches of %s have what they have"):format(name,
        set.class_name))
    end
  end
  local count, order, place = batches.count(set), nil, 0
  local first = batch(model, set, 1)
  local feed = { data = first, steps = options.steps_per_epoch or count }
  local function begin()
    place, order = 0, nil
    count = batches.count(set)
    if options.shuffle ~= false and not set.shuffles_itself then
      order = core.totable((core.apply("random_permutation", {}, { n = count })))
    end
  end
  function feed.epoch_begin()
    if set.on_epoch_begin then set:on_epoch_begin() end
    -- With steps_per_epoch an epoch goes on where the last one ended.
    if not options.steps_per_epoch or place == 0 then begin() end
  end
  function feed.epoch_end()
    if set.on_epoch_end then set:on_epoch_end() end
  end
  function feed.next()
    if place >= count then begin() end
    place = place + 1
    return batch(model, set, order and order[place] + 1 or place)
  end
  return feed
end

return batches
