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

--- Stops when the loss is no number; Keras's name is TerminateOnNaN.
function extra.NaNGuard() return declared.config("callback", "TerminateOnNaN", {}) end

return callbacks
