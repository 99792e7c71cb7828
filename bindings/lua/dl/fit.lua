-- The training loop. It is Lua's, over the library's events, so callbacks are plain calls and a coroutine may yield in them.

local core = ...
local arguments = core.use "arguments"
local config = core.use "config"
local progress = core.use "progress"
local training = core.use "training"
local batches = core.use "batches"
local steps = core.use "steps"
local fail, kind_of = core.fail, arguments.kind_of

local methods = core.class("dl.Model").methods

-- ---- History ---------------------------------------------------------------------------------------------------

local history_metatable = { __name = "dl.History" }

function history_metatable.__index(history, key)
  -- Keras keeps the lists one level deeper.
  if key == "history" then return history end
  return nil
end

-- Names in order; `next`, because pairs comes here.
local function history_names(history)
  local names = {}
  for name in next, history do names[#names + 1] = name end
  table.sort(names)
  return names
end

function history_metatable.__pairs(history)
  local names, place = history_names(history), 0
  return function()
    place = place + 1
    if names[place] then return names[place], rawget(history, names[place]) end
  end
end

function history_metatable.__tostring(history)
  local lines = { ("history of %d epochs"):format(#history.epoch) }
  for _, name in ipairs(history_names(history)) do
    local list = history[name]
    if name ~= "epoch" then lines[#lines + 1] = ("  %-20s %.6g"):format(name, list[#list] or 0) end
  end
  return table.concat(lines, "\n")
end

-- ---- Options ---------------------------------------------------------------------------------------------------

local fit_options = {
  x = "any", y = "any", epochs = "integer", batch_size = "integer", verbose = "integer|string|boolean",
  callbacks = "table", validation_data = "table", validation_split = "number", validation_freq = "integer",
  validation_batch_size = "integer", validation_steps = "integer", sample_weight = "any", class_weight = "table",
  shuffle = "boolean", seed = "integer", initial_epoch = "integer", steps_per_epoch = "integer", label_base = "integer",
}

local events = {
  "on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end",
  "on_train_batch_begin", "on_train_batch_end", "on_test_begin", "on_test_end",
}
local known_events = {}
for _, name in ipairs(events) do known_events[name] = true end

-- Lists of callbacks give way to what they hold.
local function flat(list, into)
  for _, callback in ipairs(list) do
    if type(callback) == "table" and (getmetatable(callback) or {}).dl_callbacks then
      flat(callback, into)
    else
      into[#into + 1] = callback
    end
  end
  return into
end

-- The library's own callbacks as JSON, and the functions of the others by event, in order.
local function sort_callbacks(list, model)
  local own, functions = {}, {}
  if list and #list == 0 and next(list) ~= nil then list = { list } end
  for place, callback in ipairs(flat(list or {}, {})) do
    if type(callback) == "table" and type(callback.class_name) == "string"
      and not (getmetatable(callback) or {}).dl_callback then
      if callback.category ~= "callback" then
        fail("ARGUMENT", ("callback %d is a %s"):format(place, tostring(callback.category)))
      end
      own[#own + 1] = { class_name = callback.class_name, config = callback.config }
    elseif type(callback) == "table" and (getmetatable(callback) or {}).dl_callback then
      if model then callback:set_model(model) end
      for _, name in ipairs(events) do
        if callback[name] then
          local event = name:gsub("^on_train_batch", "on_batch")
          functions[event] = functions[event] or {}
          table.insert(functions[event], function(...) return callback[name](callback, ...) end)
        end
      end
    elseif type(callback) == "table" then
      if getmetatable(callback) and callback.name then
        fail("ARGUMENT", ("callback %d is the constructor %s; call it"):format(place, tostring(callback)))
      end
      for name, f in pairs(callback) do
        if type(name) == "string" and name:match "^on_" then
          if not known_events[name] then
            fail("ARGUMENT", ("callback %d has '%s', which is no event%s"):format(place, name,
              arguments.suggestion(name, events)))
          end
          if type(f) ~= "function" then
            fail("ARGUMENT", ("'%s' of callback %d must be a function, got %s"):format(name, place, kind_of(f)))
          end
          local event = name:gsub("^on_train_batch", "on_batch")
          functions[event] = functions[event] or {}
          table.insert(functions[event], f)
        end
      end
    else
      fail("ARGUMENT", ("callback %d must be a callback or a table of functions, got %s"):format(place, kind_of(callback)))
    end
  end
  return own, functions
end

-- What dl.config lets be.
local function limited(wanted, most) return most and math.min(wanted, most) or wanted end

local function level_of(verbose)
  if verbose == true then return 1 end
  if verbose == false then return 0 end
  if verbose ~= nil and verbose ~= "auto" and verbose ~= 0 and verbose ~= 1 and verbose ~= 2 then
    fail("ARGUMENT", ("verbose must be \"auto\", 0, 1 or 2, got %s"):format(kind_of(verbose)))
  end
  local level = progress.level(verbose)
  return level == 1 and verbose ~= 1 and not config.is_interactive_logging_enabled() and 2 or level
end

-- Begins a run: the handle, the functions, how much to print.
local function begin(model, name, x, y, options)
  arguments.self(model, "dl.Model", name)
  -- fit(set, { epochs = 5 })
  if batches.is(x) and options == nil and type(y) == "table" then y, options = nil, y end
  if batches.is(x) then
    options = arguments.options(name, options, fit_options)
  elseif type(x) == "table" and y == nil and core.kind(x) == nil and (x.x ~= nil or options == nil) then
    options = arguments.options(name, x, fit_options)
    x, y = options.x or options[1], options.y or options[2]
  else
    options = arguments.options(name, options, fit_options)
  end
  local feed = batches.is(x) and batches.feed(model, x, options, y) or nil
  if x == nil or y == nil and not feed and not steps.has(model, "train_step") then
    fail("ARGUMENT", ("%s needs x and y: model:%s(x, y, { epochs = 5 })"):format(name, name))
  end
  for _, option in ipairs{ "epochs", "batch_size", "validation_freq", "validation_batch_size", "steps_per_epoch",
    "validation_steps" } do
    if options[option] and options[option] < 1 then
      fail("ARGUMENT", ("'%s' must be at least 1, got %d"):format(option, options[option]))
    end
  end
  local own, functions = sort_callbacks(options.callbacks, model)
  local form = {
    epochs = limited(options.epochs or 1, config.max_epochs()), batch_size = options.batch_size,
    no_shuffle = options.shuffle == false,
    initial_epoch = options.initial_epoch, validation_freq = options.validation_freq,
    validation_batch_size = options.validation_batch_size, validation_steps = options.validation_steps,
    steps_per_epoch = feed and feed.steps or options.steps_per_epoch, validation_split = options.validation_split,
    class_weight = training.class_weight(model, options.class_weight, options.label_base or 1),
    callbacks = #own > 0 and core.encode(core.array(own)) or nil,
  }
  local validate
  if batches.is(options.validation_data) then
    form.validation_data, validate = batches.validation(options.validation_data, model, options.validation_steps)
  elseif options.validation_data then
    form.validation_data = training.pair(model, options.validation_data, "validation_data")
  end
  if options.seed then core.seed(options.seed) end
  local data = feed and feed.data or training.data(model, x, y, options.sample_weight)
  local most = not feed and config.max_steps_per_epoch()
  if most then
    local share = options.validation_data and 1 or 1 - (options.validation_split or 0)
    local batch = options.batch_size or 32
    local all = options.steps_per_epoch or (math.floor(#data.x[1] * share) + batch - 1) // batch
    if most < all then form.steps_per_epoch = most end
  end
  local run = core.fit(model, data, form)
  return run, functions, level_of(options.verbose), feed, validate
end

-- Calls the functions of an event. "stop" from any of them ends training after the current batch.
local function call(functions, run, ...)
  for _, f in ipairs(functions or {}) do
    local answer = f(...)
    if answer == "stop" then
      core.fit_stop(run)
    elseif answer ~= nil and answer ~= true and answer ~= false then
      fail("ARGUMENT", ("a callback returned %s; expected nothing or \"stop\""):format(kind_of(answer)))
    end
  end
end

-- ---- Fit -------------------------------------------------------------------------------------------------------

--- Trains: model:fit(x, y, { epochs = 5, batch_size = 32 }) or model:fit{ x = x, y = y, ... }. Returns the history.
function methods.fit(model, x, y, options)
  local run <close>, functions, level, feed, validate = begin(model, "fit", x, y, options)
  local printer = level > 0 and progress.new(level) or nil
  local taken = 0
  local function logs() return (core.fit_logs(run)) end
  local function names() return (select(2, core.fit_logs(run))) end
  local lazy = { logs, names }
  while true do
    local event, epoch, epochs, step, of = core.fit_next(run)
    if event == nil then break end
    if event == "batch_end" then
      taken = step
      if printer then printer.batch_end(step, of, lazy) end
      if functions.on_batch_end then call(functions.on_batch_end, run, step, logs(), model) end
    elseif event == "batch_begin" then
      if feed then core.fit_feed(run, feed.next()) end
      if functions.on_batch_begin then call(functions.on_batch_begin, run, step, {}, model) end
    elseif event == "epoch_begin" then
      if feed then feed.epoch_begin() end
      if printer then printer.epoch_begin(epoch, epochs) end
      call(functions.on_epoch_begin, run, epoch, {}, model)
    elseif event == "epoch_end" then
      local values, order = core.fit_logs(run)
      if printer then printer.epoch_end(epoch, epochs, taken, values, order) end
      if feed then feed.epoch_end() end
      call(functions.on_epoch_end, run, epoch, values, model)
    else
      if validate and event == "test_begin" then validate(run) end
      call(functions["on_" .. event], run, logs(), model)
    end
  end
  local history = core.fit_history(run)
  -- The library counts epochs from 0.
  for place, epoch in ipairs(history.epoch or {}) do history.epoch[place] = epoch + 1 end
  history.epoch = history.epoch or {}
  return setmetatable(history, history_metatable)
end

--- for step, logs, epoch in model:fit_iter{ x = x, y = y, epochs = 2 } do: one round for each batch, steps from 1 through
-- all epochs. Leaving the loop ends training.
function methods.fit_iter(model, x, y, options)
  local run, functions, _, feed, validate = begin(model, "fit_iter", x, y, options)
  local count = 0
  local function advance()
    while true do
      local event, epoch, _, step = core.fit_next(run)
      if event == nil then return nil end
      if event == "batch_end" then
        count = count + 1
        local logs = core.fit_logs(run)
        call(functions.on_batch_end, run, step, logs, model)
        return count, logs, epoch
      elseif event == "epoch_begin" or event == "epoch_end" then
        if feed then feed[event]() end
        call(functions["on_" .. event], run, epoch, (core.fit_logs(run)), model)
      elseif event == "batch_begin" then
        if feed then core.fit_feed(run, feed.next()) end
        call(functions.on_batch_begin, run, step, {}, model)
      else
        if validate and event == "test_begin" then validate(run) end
        call(functions["on_" .. event], run, (core.fit_logs(run)), model)
      end
    end
  end
  return advance, nil, nil, run
end

return methods.fit
