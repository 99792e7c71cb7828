-- BackupAndRestore: a run that was killed goes on with the same numbers. NaNGuard: what went wrong first, and where.

package.path = (arg[0]:match "^(.*/)" or "./") .. "?.lua;" .. package.path
local T = require "harness"
local dl = require "dl"
local test, equal, raises = T.test, T.equal, T.raises
local L, C = dl.layers, dl.callbacks

-- A training whose every part depends on what came before: dropout, momentum, shuffling, a changing rate, metrics.
local script = [[
local dl = require "dl"
local L = dl.layers
local path, save_freq, kill_at, out = ...
dl.set_random_seed(7)
local x, y = dl.normal({ 40, 5 }), dl.normal({ 40, 1 })
dl.set_random_seed(8)
local model = dl.Sequential{ L.Input{ 5 }, L.Dense{ 8, activation = "tanh", name = "a" }, L.Dropout{ 0.3, name = "b" },
  L.BatchNormalization{ name = "c" }, L.Dense{ 1, name = "d" } }
model:compile{ optimizer = dl.optimizers.Adam{ dl.optimizers.schedules.ExponentialDecay(0.05, 10, 0.8) }, loss = "mse",
  metrics = { "mae" } }
local batches, last = 0, {}
model:fit(x, y, { epochs = 4, batch_size = 8, verbose = 0, validation_split = 0.2, callbacks = {
  dl.callbacks.BackupAndRestore{ path, save_freq = tonumber(save_freq) or save_freq },
  { on_batch_end = function()
      batches = batches + 1
      -- As nothing else, SIGKILL leaves no time for anything.
      if batches == tonumber(kill_at) then os.execute("kill -9 " .. io.open("/proc/self/stat"):read "n") end
    end,
    on_epoch_end = function(epoch, logs)
      last[#last + 1] = ("%d %a %a %a"):format(epoch, logs.loss, logs.mae, logs.val_loss)
    end } } })
local file = assert(io.open(out, "w"))
for _, w in ipairs(model:get_weights()) do
  for _, v in ipairs(w:reshape{ -1 }:totable()) do file:write(("%a\n"):format(v)) end
end
file:write(last[#last], "\n")
file:close()
]]

local function interpreter()
  local low = 0
  while arg[low - 1] do low = low - 1 end
  return arg[low]
end

-- The script's end of weights and figures, after it was killed at a batch, nil for never, and started again.
local function train(save_freq, kill_at)
  local name, path, out = T.temporary ".lua", T.temporary(), T.temporary()
  T.write(name, script)
  local command = ("'%s' '%s' '%s' %s %%s '%s' 2>&1"):format(interpreter(), name, path, save_freq, out)
  if kill_at then
    os.execute("(" .. command:format(kill_at) .. ") >/dev/null 2>&1")
    assert(io.open(path .. ".safetensors"), "there is no backup")
    assert(not io.open(out), "it was not killed")
  end
  local pipe = io.popen(command:format(0))
  local text = pipe:read "a"
  assert(pipe:close(), text)
  equal(io.open(path .. ".safetensors"), nil)
  local result = T.read(out)
  os.remove(name)
  os.remove(out)
  return result
end

test("a run that was killed goes on with the same bits", function()
  local whole = train("epoch")
  equal(train("epoch", 6), whole, "between epochs")
  equal(train(1, 6), whole, "after each batch")
  equal(train(3, 8), whole, "after three batches, the end of an epoch between")
end)

test("backups: what does not fit", function()
  raises("backup_dir", C.BackupAndRestore, 3)
  local function run(callback)
    local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } }
    model:compile{ optimizer = "sgd", loss = "mse" }
    return model:fit({ { 1.0 } }, { { 1.0 } }, { verbose = 0, callbacks = { callback } })
  end
  raises("save_freq", run, C.BackupAndRestore{ T.temporary(), save_freq = 0 })
  raises("save_freq", run, C.BackupAndRestore{ T.temporary(), save_freq = "batch" })
  local path = T.temporary()
  T.write(path .. ".safetensors", "no backup at all")
  raises(path, run, C.BackupAndRestore(path))
  os.remove(path .. ".safetensors")
  -- A file of weights is no backup.
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } }
  model:save_weights(path .. ".safetensors")
  raises("no backup", run, C.BackupAndRestore(path))
  os.remove(path .. ".safetensors")
  -- What stays when it is to stay.
  run(C.BackupAndRestore{ path, delete_checkpoint = false })
  assert(os.remove(path .. ".safetensors"))
end)

-- ---- NaNGuard ---------------------------------------------------------------------------------------------------

local function guarded(layers, x, options)
  local model = dl.Sequential(layers)
  model:compile{ optimizer = options and options.optimizer or dl.optimizers.SGD{ 0.1 }, loss = options and options.loss or "mse" }
  local message = raises("NaNGuard", model.fit, model, x, dl.zeros{ #x, 1 }, { verbose = 0, batch_size = 2, shuffle = false,
    epochs = 50, callbacks = { C.NaNGuard{} } })
  for _, weight in ipairs(model:get_weights()) do
    assert(dl.ops.all(dl.ops.isfinite(weight)):item() == true or dl.ops.all(dl.ops.isfinite(weight)):item() == 1)
  end
  return message
end

test("the operation that went wrong first, forward", function()
  local text = guarded({ L.Input{ 2 }, L.Dense{ 2, kernel_initializer = "ones", name = "first" },
    L.Lambda(function(x) return x:log() end, { name = "logarithm" }), L.Dense{ 1, name = "last" } },
    dl.tensor{ { 1.0, 2.0 }, { 1.0, 1.0 }, { 1.0, 1.0 }, { -3.0, -1.0 } })
  assert(text:find "batch 2" or text:find "batch 1", text)
  assert(text:find("'log' in layer", 1, true) and text:find "logarithm" and text:find "forward", text)
end)

test("the operation that went wrong first, backward", function()
  -- The root of 0 is 0; its slope is not.
  local text = guarded({ L.Input{ 1 }, L.Dense{ 1, kernel_initializer = "zeros", name = "first" },
    L.Lambda(function(x) return x:sqrt() end, { name = "root" }) }, dl.tensor{ { 1.0 }, { 2.0 } })
  assert(text:find "root" and text:find "backward", text)
end)

test("weights that grow without end", function()
  local text = guarded({ L.Input{ 1 }, L.Dense{ 1, kernel_initializer = "ones", name = "grows" } },
    dl.tensor{ { 100.0 }, { 200.0 } }, { optimizer = dl.optimizers.SGD{ 1e10 } })
  assert(text:find "epoch %d+", text)
end)

test("data that is no number", function()
  local text = guarded({ L.Input{ 1 }, L.Dense{ 1 } }, dl.tensor{ { 1.0 }, { 2.0 }, { 3.0 }, { 0 / 0 } })
  assert(text:find("batch 2: input 0 has", 1, true) and text:find("sample 1", 1, true), text)
end)

test("a step of one's own", function()
  local model = dl.Sequential{ L.Input{ 1 }, L.Dense{ 1 } }
  model.train_step = function() return { loss = 0 / 0 } end
  raises({ "NaNGuard", "loss" }, model.fit, model, { { 1.0 } }, { { 1.0 } }, { verbose = 0, callbacks = { C.NaNGuard() } })
end)

T.finish()
