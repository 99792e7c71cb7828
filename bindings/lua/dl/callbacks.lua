-- dl.callbacks: the library's own, and those that take a Lua function. A plain table of functions is a callback too.

local core = ...
local arguments = core.use "arguments"
local declared = core.use "declared"
local fail, kind_of = core.fail, arguments.kind_of

local extra = {}

local callbacks = declared.configs("dl.callbacks", "callback", extra)

--- Sets the learning rate before each epoch: LearningRateScheduler(function(epoch, rate) return rate * 0.9 end), with
-- epochs from 1.
function extra.LearningRateScheduler(given)
  local f = given
  if type(given) == "table" and given.class_name == nil then f = given[1] or given.schedule end
  if type(f) ~= "function" then
    fail("ARGUMENT", "LearningRateScheduler takes a function of epoch and rate, got " .. kind_of(f))
  end
  return {
    on_epoch_begin = function(epoch, _, model)
      local optimizer = model.optimizer
      local rate = f(epoch, optimizer.learning_rate)
      if type(rate) ~= "number" or rate ~= rate then
        fail("ARGUMENT", "the function of a LearningRateScheduler must return a number, got " .. kind_of(rate))
      end
      optimizer.learning_rate = rate
    end,
  }
end

--- A table of functions, for those who like to say so: LambdaCallback{ on_epoch_end = function(epoch, logs) ... end }
function extra.LambdaCallback(functions) return functions end

-- ---- Moving averages -------------------------------------------------------------------------------------------

--- Puts the moving averages of an optimizer with use_ema in the weights' place while the model is validated.
-- SwapEMAWeights{ swap_on_epoch = true }: at the end of each epoch too, until the next begins, for callbacks that save.
function extra.SwapEMAWeights(options)
  options = arguments.options("SwapEMAWeights", options, { swap_on_epoch = "boolean" })
  local swapped = false
  local function swap(model, want)
    if want ~= swapped then
      core.optimizer_swap(model.optimizer)
      swapped = want
    end
  end
  return {
    on_train_begin = function(_, model)
      swapped = false
      if not model.optimizer:get_config().use_ema then
        fail("ARGUMENT", "SwapEMAWeights needs an optimizer with use_ema = true")
      end
    end,
    on_test_begin = function(_, model) swap(model, true) end,
    on_test_end = function(_, model) swap(model, false) end,
    on_epoch_begin = function(_, _, model) swap(model, false) end,
    on_epoch_end = function(_, _, model)
      if options.swap_on_epoch then swap(model, true) end
    end,
  }
end

-- ---- Curves ----------------------------------------------------------------------------------------------------

local colours = { "#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b" }

local function svg(history, names, title)
  local wide, high, left, top = 640, 400, 60, 30
  local low, most, epochs = math.huge, -math.huge, 1
  for _, name in ipairs(names) do
    for place, value in ipairs(history[name]) do
      if value == value and math.abs(value) ~= math.huge then low, most = math.min(low, value), math.max(most, value) end
      epochs = math.max(epochs, place)
    end
  end
  if low > most then low, most = 0, 1 end
  if low == most then low, most = low - 0.5, most + 0.5 end
  local function x(place) return left + (wide - left - 20) * (epochs == 1 and 0.5 or (place - 1) / (epochs - 1)) end
  local function y(value) return high - 40 - (high - 40 - top) * (value - low) / (most - low) end
  local parts = {
    ('<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">'):format(wide,
      high),
    ('<rect width="%d" height="%d" fill="white"/><text x="%d" y="18">%s</text>'):format(wide, high, left,
      (title:gsub("[<>&]", ""))),
  }
  for tick = 0, 4 do
    local value = low + (most - low) * tick / 4
    parts[#parts + 1] = ('<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.4g</text>'):format(
      left, y(value), wide - 20, left - 6, y(value) + 4, value)
  end
  parts[#parts + 1] = ('<text x="%d" y="%d">epoch 1</text><text x="%d" y="%d" text-anchor="end">%d</text>'):format(left,
    high - 18, wide - 20, high - 18, epochs)
  for place, name in ipairs(names) do
    local points, colour = {}, colours[(place - 1) % #colours + 1]
    for epoch, value in ipairs(history[name]) do
      if value == value and math.abs(value) ~= math.huge then
        points[#points + 1] = ("%.1f,%.1f"):format(x(epoch), y(value))
      end
    end
    parts[#parts + 1] = ('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>'):format(colour,
      table.concat(points, " "))
    parts[#parts + 1] = ('<text x="%d" y="%d" fill="%s">%s</text>'):format(left + 10, top + 14 * place, colour,
      (name:gsub("[<>&]", "")))
  end
  parts[#parts + 1] = "</svg>\n"
  return table.concat(parts, "\n")
end

--- Draws curves of figures over epochs into an SVG file, anew after each:
-- Plot{ "curves.svg", figures = { "loss", "val_loss" } }
function extra.Plot(options)
  if type(options) == "string" then options = { options } end
  options = arguments.options("Plot", options, { path = "string", figures = "table", title = "string" })
  local path = options.path or options[1]
  if type(path) ~= "string" then fail("ARGUMENT", "Plot takes a file name: Plot{ \"curves.svg\" }") end
  local history = {}
  return {
    on_train_begin = function() history = {} end,
    on_epoch_end = function(_, logs)
      local names = {}
      for name, value in pairs(logs) do
        history[name] = history[name] or {}
        table.insert(history[name], value)
      end
      for name in pairs(history) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(options.figures or {}) do
        if not history[name] then
          fail("ARGUMENT", ("Plot: there is no figure '%s'%s"):format(tostring(name), arguments.suggestion(name, names)))
        end
      end
      if not io then fail("UNSUPPORTED", "Plot needs a script that may write files") end
      local file = assert(io.open(path, "wb"))
      file:write(svg(history, options.figures or names, options.title or path))
      file:close()
    end,
  }
end

--- Calls print_fn(text) with the figures of each epoch: for logs of one's own beside or instead of fit's bar.
function extra.ProgbarLogger(options)
  options = arguments.options("ProgbarLogger", options, { print_fn = "function" })
  local write = options.print_fn or print
  return {
    on_epoch_end = function(epoch, logs)
      local names, parts = {}, {}
      for name in pairs(logs) do names[#names + 1] = name end
      table.sort(names)
      for place, name in ipairs(names) do parts[place] = ("%s: %.4g"):format(name, logs[name]) end
      write(("Epoch %d - %s"):format(epoch, table.concat(parts, " - ")))
    end,
  }
end

--- Keeps what fit returns as well, list by list: local history = History(); then history.history.loss
function extra.History()
  local callback = { history = {}, epoch = {} }
  function callback.on_train_begin() callback.history, callback.epoch = {}, {} end
  function callback.on_epoch_end(epoch, logs)
    table.insert(callback.epoch, epoch)
    for name, value in pairs(logs) do
      callback.history[name] = callback.history[name] or {}
      table.insert(callback.history[name], value)
    end
  end
  return callback
end

-- ---- Callbacks of a script's own ---------------------------------------------------------------------------------

local base = { class_name = "Callback" }

function base.set_model(self, model) self.model = model end
function base.set_params(self, params) self.params = params end

--- A class of callbacks, whose functions get self first: Callback:extend("Name", { on_epoch_end = function(self, epoch, logs)
-- ... end }). self.model is the model that is trained; options of the constructor become fields.
function base.extend(parent, name, members)
  if type(name) ~= "string" or type(members) ~= "table" then
    fail("ARGUMENT", "Callback:extend(name, members) takes a name and a table of functions")
  end
  local class = members
  class.class_name = name
  return setmetatable(class, {
    __index = parent,
    __call = function(_, options)
      if options ~= nil and type(options) ~= "table" then
        fail("ARGUMENT", ("%s takes a table of options, got %s"):format(name, kind_of(options)))
      end
      local self = {}
      for key, value in pairs(options or {}) do self[key] = value end
      setmetatable(self, { __index = class, dl_callback = class, __tostring = function() return "callback " .. name end })
      if class.init then class.init(self, options or {}) end
      return self
    end,
    __tostring = function() return "callback class " .. name end,
  })
end

extra.Callback = setmetatable(base, {
  __call = function() fail("ARGUMENT", "Callback is derived from: Callback:extend(\"Name\", { on_epoch_end = ... })") end,
  __tostring = function() return "dl.callbacks.Callback" end,
})

-- ---- Several at once ---------------------------------------------------------------------------------------------

local group = {}

function group.append(list, callback)
  if type(callback) ~= "table" then fail("ARGUMENT", "a CallbackList holds callbacks, got " .. kind_of(callback)) end
  rawset(list, #list + 1, callback)
  if list.model and callback.set_model then callback:set_model(list.model) end
end

function group.set_model(list, model)
  rawset(list, "model", model)
  for _, callback in ipairs(list) do
    if callback.set_model then callback:set_model(model) end
  end
end

-- What is called on_...: that function of all, in order, with the list in front as with a callback of a class.
local function event_of(name)
  return function(list, ...)
    local answer
    for place, callback in ipairs(list) do
      local mark = getmetatable(callback) or {}
      local own = mark.dl_callback or mark.dl_callbacks
      if not own and type(callback.class_name) == "string" then
        fail("ARGUMENT", ("callback %d of the list, %s, is the library's: fit alone can run it"):format(place,
          callback.class_name))
      end
      local f = callback[name]
      if f then
        local got
        if own then got = f(callback, ...) else got = f(...) end
        answer = answer or got
      end
    end
    return answer
  end
end

--- Callbacks as one: for a training loop of a script's own, which calls list:on_epoch_end(epoch, logs) and so on, or among
-- the callbacks of fit. CallbackList{ a, b, model = model }; list:append(c); list:set_model(model)
function extra.CallbackList(given)
  if type(given) ~= "table" then fail("ARGUMENT", "CallbackList takes a table of callbacks, got " .. kind_of(given)) end
  local list = setmetatable({}, {
    dl_callbacks = true,
    __index = function(_, name)
      if group[name] then return group[name] end
      return type(name) == "string" and name:match "^on_" and event_of(name) or nil
    end,
    __tostring = function(self) return ("list of %d callbacks"):format(#self) end,
  })
  if given.model then group.set_model(list, given.model) end
  for _, callback in ipairs(given.callbacks or given) do group.append(list, callback) end
  return list
end

return callbacks
